import { request } from 'node:http'

/** Calls a method of supervisord without arguments but booleans; resolves with the text of its answer, rejects on a fault. */
export function callSupervisor(socketPath: string, method: string, ...flags: boolean[]): Promise<string> {
  const params = flags.map((flag) => `<param><value><boolean>${flag ? 1 : 0}</boolean></value></param>`).join('')
  const body = `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params}</params></methodCall>`
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const headers = { 'content-type': 'text/xml', 'content-length': Buffer.byteLength(body) }
  const outgoing = request({ socketPath, path: '/RPC2', method: 'POST', headers }, (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (part: string) => {
      text += part
    })
    response.on('error', reject)
    response.on('end', () => (response.statusCode === 200 && !text.includes('<fault>') ? resolve(text) : reject(new Error(text))))
  })
  outgoing.on('error', reject)
  outgoing.end(body)
  return promise
}
