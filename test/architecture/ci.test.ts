// `.ci/run` with an `npm` that only writes down how it was called.
import { spawn } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../helpers/until.ts'
import { plant, script } from './tree.ts'

const runner = join(import.meta.dirname, '../../.ci/run')

/** An `npm` that notes its arguments, and in `npm test` does what the body says. */
const npm = (body: string) => `#!/bin/sh
echo "$* \${REGENT_TEST_SERVICES-}" >> "\${0%/*}/calls"
case $* in
  test) ${body} ;;
  *stop) echo 'redis stopped' ;;
  *services) echo 'redis started'; exit "\${SERVICES_STATUS:-0}" ;;
esac
`

describe('.ci/run', () => {
  let tree: ReturnType<typeof plant>
  afterEach(() => tree.remove())

  const fake = (body: string) => {
    tree = plant({ 'bin/npm': npm(body) })
    chmodSync(join(tree.root, 'bin/npm'), 0o755)
    return { PATH: `${join(tree.root, 'bin')}:${process.env.PATH}` }
  }
  const calls = () =>
    readFileSync(join(tree.root, 'bin/calls'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.trim())
  const everyCall = ['run --silent services', 'test required', 'run --silent services -- stop']

  it('starts the servers, requires them in the tests, stops them, and prints the count last [I2-PRJ-04]', async () => {
    const { code, lines } = await script('.ci/run', [], fake("echo '12 passed, 0 failed'; echo more"))
    expect(calls()).toEqual(everyCall)
    expect(lines.at(-1)).toBe('12 passed, 0 failed')
    expect(code).toBe(0)
  })

  it('takes the status of the tests, and stops the servers after a failure too', async () => {
    const { code, lines } = await script('.ci/run', [], fake("echo '3 passed, 2 failed, 1 skipped'; exit 7"))
    expect(calls()).toEqual(everyCall)
    expect(lines.at(-1)).toBe('3 passed, 2 failed, 1 skipped')
    expect(code).toBe(7)
  })

  it('tests also when a server could not be started', async () => {
    const { code } = await script('.ci/run', [], { ...fake("echo '3 passed, 0 failed'"), SERVICES_STATUS: '1' })
    expect(calls()).toEqual(everyCall)
    expect(code).toBe(0)
  })

  it('fails when the tests never counted', async () => {
    const { code, lines } = await script('.ci/run', [], fake('echo broken'))
    expect(lines.at(-1)).toBe('0 passed, 1 failed')
    expect(code).toBe(1)
  })

  it('ends the tests and stops the servers when it is told to end', async () => {
    const env = fake(`echo $$ > "\${0%/*}/pid"; sleep 600`)
    const pid = () => Number(readFileSync(join(tree.root, 'bin/pid'), 'utf8'))
    const child = spawn(runner, { env, stdio: 'ignore' })
    await until(() => pid() > 0, 'the tests have begun')
    const ended = new Promise((resolve) => child.on('exit', resolve))
    child.kill('SIGTERM')
    expect(await ended).toBe(143)
    expect(calls()).toEqual(everyCall)
    expect(() => process.kill(pid(), 0)).toThrow('ESRCH')
  })
})
