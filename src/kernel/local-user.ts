import { userInfo } from 'node:os'

/** The user of the operating system, in the form of an owner's name: the owner of what is made here without a token. */
export function localUser(): string {
  const name = osUser()
    .replaceAll(/[^A-Za-z0-9_-]/g, '-')
    .replace(/^[_-]+/, '')
  return name === '' ? 'local' : name.slice(0, 64)
}

function osUser(): string {
  try {
    return userInfo().username
  } catch {
    // Its number has no entry in the machine's list, as in containers that are run with any number.
    return `user-${process.getuid?.() ?? ''}`
  }
}
