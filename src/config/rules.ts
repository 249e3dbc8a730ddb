import type { FieldError } from '../kernel/errors.ts'
import type { Config } from './config.ts'

export interface BrokenRule extends FieldError {
  readonly level: 'error' | 'warning'
}

/** One thing that no single setting shows; undefined when it holds. */
type Rule = (config: Config) => BrokenRule | undefined

const error = (path: string, message: string): BrokenRule => ({ level: 'error', path, message: `${path}: ${message}` })
const warning = (path: string, message: string): BrokenRule => ({ level: 'warning', path, message: `${path}: ${message}` })
const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[?::1\]?)$/i.test(host)

const rules: readonly Rule[] = [
  ({ port, orchestratorPort }) =>
    port !== 0 && port === orchestratorPort
      ? error('http.orchestrator_port', `is ${port}, and so is http.port: choose another, 0 for a free one, or "off"`)
      : undefined,
  ({ auth, host }) =>
    auth === 'none' && !isLoopback(host)
      ? warning(
          'auth',
          `"none" on ${host}: whoever reaches this address can run programs as you; use "token" unless the network is yours alone`,
        )
      : undefined,
  ({ auth, host }) =>
    auth === 'none' && isLoopback(host) ? warning('auth', '"none": every user of this machine can run programs as you') : undefined,
  ({ allowedOrigins }) =>
    allowedOrigins.includes('*')
      ? error('http.allowed_origins', '"*" would let every web page run programs here: name the origins')
      : undefined,
  ({ allowedOrigins }) => {
    const wrong = allowedOrigins.find((origin) => origin !== '*' && !isOrigin(origin))
    return wrong === undefined ? undefined : error('http.allowed_origins', `${wrong} is not an origin such as https://desk.example.org`)
  },
  ({ allowInsecureTls }) =>
    allowInsecureTls ? warning('allow_insecure_tls', 'TLS certificates are not verified where an agent asks for that') : undefined,
]

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text.toLowerCase()
}

/** Every rule that does not hold. */
export const checkRules = (config: Config): BrokenRule[] => rules.flatMap((rule) => rule(config) ?? [])
