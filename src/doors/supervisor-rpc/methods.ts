import type { MethodCall, Value } from './codec.ts'
import { configMethods } from './config-methods.ts'
import { Fault, faultOf } from './faults.ts'
import { lifeMethods } from './life-methods.ts'
import { logMethods } from './log-methods.ts'
import { type Context, type Method, method } from './method.ts'

const API_VERSION = '3.0'

const mainMethods = {
  getAPIVersion: method('The version of this interface', 'string', [], () => API_VERSION),
  getVersion: method('The version of this interface', 'string', [], () => API_VERSION),
  getSupervisorVersion: method('The version of Regent', 'string', [], ({ about }) => about.version),
  getIdentification: method('Who answers', 'string', [], () => 'regent'),
  getState: method('The state of Regent', 'struct', [], () => ({ statecode: 1, statename: 'RUNNING' })),
  getPID: method('The pid of Regent', 'int', [], ({ about }) => about.pid),
  shutdown: method('End Regent; agents live on', 'boolean', [], ({ self, answered }) => {
    self.shutdown(answered)
    return true
  }),
  restart: method('Restart Regent; agents live on', 'boolean', [], ({ self, answered }) => {
    self.restart(answered)
    return true
  }),
}

const systemMethods = {
  listMethods: method('The names of all methods', 'array', [], () => Object.keys(methods).sort()),
  methodHelp: method('What a method does', 'string', ['string'], (_, name) => known(name, 'SIGNATURE_UNSUPPORTED').help),
  methodSignature: method('Types of the result and of the parameters', 'array', ['string'], (_, name) => {
    const { returns, params } = known(name, 'SIGNATURE_UNSUPPORTED')
    return [returns, ...params.map((type) => type.replace('?', ''))]
  }),
  multicall: method('Several calls in one, one after the other', 'array', ['array'], multicall),
}

const methods: Readonly<Record<string, Method>> = Object.fromEntries([
  ...named('supervisor', { ...mainMethods, ...lifeMethods, ...logMethods, ...configMethods }),
  ...named('system', systemMethods),
])

function named(space: string, all: Readonly<Record<string, Method>>): [string, Method][] {
  return Object.entries(all).map(([name, one]) => [`${space}.${name}`, one])
}

/** Does what is asked. Throws Fault, or what the core throws. */
export function perform(context: Context, call: MethodCall): Promise<Value> {
  return known(call.method, 'UNKNOWN_METHOD').run(context, call.params)
}

function known(name: string, fault: 'UNKNOWN_METHOD' | 'SIGNATURE_UNSUPPORTED'): Method {
  const found = Object.hasOwn(methods, name) ? methods[name] : undefined
  if (!found) throw new Fault(fault, name.slice(0, 100))
  return found
}

const MOST_CALLS = 256

async function multicall(context: Context, calls: readonly Value[]): Promise<Value> {
  if (calls.length > MOST_CALLS) throw new Fault('INCORRECT_PARAMETERS', `at most ${MOST_CALLS} calls go into one`)
  const results: Value[] = []
  for (const call of calls) {
    try {
      results.push(await perform(context, callOf(call)))
    } catch (error) {
      const { faultCode, message } = faultOf(error, context.closing())
      results.push({ faultCode, faultString: message })
    }
  }
  return results
}

function callOf(call: Value): MethodCall {
  const { methodName, params = [] } = (typeof call === 'object' && !Array.isArray(call) ? call : {}) as Readonly<Record<string, Value>>
  if (typeof methodName !== 'string') throw new Fault('INCORRECT_PARAMETERS', 'No methodName')
  if (methodName === 'system.multicall') throw new Fault('INCORRECT_PARAMETERS', 'Recursive system.multicall forbidden')
  if (!Array.isArray(params)) throw new Fault('INCORRECT_PARAMETERS', 'params must be an array')
  return { method: methodName, params }
}
