import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { launchdPlist } from '../../../src/doors/cli/startup/launchd.ts'
import type { Service } from '../../../src/doors/cli/startup/service.ts'
import { systemdUnit } from '../../../src/doors/cli/startup/systemd.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { runCli } from '../../helpers/run-cli.ts'

const launcher = join(import.meta.dirname, '../../../bin/regent')
const service = (more: Partial<Service> = {}): Service => ({
  isSystem: true,
  launcher,
  home: '/srv/regent',
  project: '/srv',
  path: '/usr/bin:/bin',
  userHome: '/root',
  ...more,
})
const onLinux = process.platform === 'linux'
const hasAnalyzer = onLinux && spawnSync('systemd-analyze', ['--version']).status === 0

/** What systemd finds wrong with a unit. */
function verify(text: string): string {
  const file = join(temporaryFolder(), 'regent.service')
  writeFileSync(file, text)
  const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', file], { encoding: 'utf8' })
  return stderr
}

describe('the unit for systemd', () => {
  it('ends Regent alone, hands control groups over, and starts it again after a failure', () => {
    const { text, file } = systemdUnit(service(), '/unused')
    expect(file).toBe('/etc/systemd/system/regent.service')
    const lines = text.split('\n')
    for (const line of [
      'Type=exec',
      'KillMode=process',
      'Delegate=yes',
      'Restart=on-failure',
      'RestartSec=2',
      'OOMScoreAdjust=-900',
      'UMask=0077',
    ])
      expect(lines).toContain(line)
    expect(lines).toContain('LimitNOFILE=65536')
    expect(lines).toContain('WantedBy=multi-user.target')
    expect(lines).toContain(`ExecStart=/bin/sh ${launcher} serve --home /srv/regent --project /srv`)
    const own = systemdUnit(service({ isSystem: false }), '/srv/bo/.config')
    expect(own.file).toBe('/srv/bo/.config/systemd/user/regent.service')
    expect(own.text).not.toContain('OOMScoreAdjust')
    expect(own.enable).toEqual(['systemctl --user daemon-reload', 'systemctl --user enable --now regent.service', 'loginctl enable-linger'])
  })

  it('keeps blanks, quotes, percent and dollar signs of paths as they are', () => {
    const { text } = systemdUnit(service({ home: '/a b/100%', project: '/x$HOME/"q"\\z', path: '/p %:/$q' }), '/unused')
    expect(text).toContain('--home "/a b/100%%" --project "/x$$HOME/\\"q\\"\\\\z"')
    expect(text).toContain('WorkingDirectory=/x$HOME/"q"\\z\n')
    expect(text).toContain('Environment="PATH=/p %%:/$q" "HOME=/root"')
    for (const home of ['/a\nExecStartPre=/bin/evil', '/a\\'])
      expect(() => systemdUnit(service({ home }), '/unused')).toThrow(/control character, or a backslash/)
  })

  it('is one that systemd takes', { skip: !hasAnalyzer, meta: { skipReason: 'no systemd-analyze here' } }, () => {
    expect(verify(systemdUnit(service(), '/unused').text)).toBe('')
    expect(verify(systemdUnit(service({ isSystem: false, home: '/a b/100%$HOME"\'', path: '/a b%:/$c' }), '/unused').text)).toBe('')
    expect(verify('[Service]\nExecStart=relative\n')).not.toBe('')
  })
})

describe('the property list for launchd', () => {
  it('leaves agents alone, and escapes what XML would take for its own', () => {
    const { file, text, enable } = launchdPlist(service({ isSystem: false, userHome: '/srv/bo', home: '/a & <b>' }))
    expect(file).toBe('/srv/bo/Library/LaunchAgents/regent.plist')
    expect(text).toContain('<key>AbandonProcessGroup</key><true/>')
    expect(text).toContain('<string>--home</string>\n    <string>/a &amp; &lt;b&gt;</string>')
    expect(enable).toEqual(['launchctl bootstrap gui/$(id -u) /srv/bo/Library/LaunchAgents/regent.plist'])
  })
})

describe('regent startup', { skip: !onLinux, meta: { skipReason: 'this machine has no systemd' } }, () => {
  const asUser = () => {
    const cwd = temporaryFolder()
    const file = join(cwd, '.config/systemd/user/regent.service')
    return {
      cwd,
      file,
      run: (...args: string[]) => runCli(['startup', '--user', ...args], { cwd, env: { REGENT_HOME: join(cwd, 'home') } }),
    }
  }

  it('writes the unit of a user, tells how to enable it, and takes it away again [I3-HOST-01]', async () => {
    const { cwd, file, run } = asUser()
    const { code, stdout, stderr } = await run()
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${file}  written\n  systemctl --user daemon-reload\n  systemctl --user enable --now regent.service\n  loginctl enable-linger\n`,
    })
    expect(stderr).toContain('enable-linger')
    expect(statSync(file).mode & 0o777).toBe(0o644)
    const text = readFileSync(file, 'utf8')
    expect(text).toContain(`--home ${join(cwd, 'home')} --project ${cwd}`)
    expect((await run()).stdout).toContain('unchanged')
    expect((await run('--print')).stdout).toBe(text)
    const removed = await run('--remove')
    expect(removed.stdout).toBe(`${file}  removed\n  systemctl --user disable --now regent.service\n  systemctl --user daemon-reload\n`)
    expect(existsSync(file)).toBe(false)
    expect((await run('--remove')).stdout).toContain('was not there')
  })

  it('writes nothing with --print, and over nothing that is not its own', async () => {
    const { cwd, file, run } = asUser()
    expect((await run('--print')).stdout).toContain('KillMode=process')
    expect(existsSync(file)).toBe(false)
    await run()
    const other = await run('--home', join(cwd, 'other'))
    expect(other).toMatchObject({ code: 1, stdout: '' })
    expect(other.stderr).toContain('another home')
    mkdirSync(join(cwd, '.config/systemd/user'), { recursive: true })
    writeFileSync(file, '[Service]\n')
    expect((await run()).stderr).toContain('was not written by regent startup')
    expect((await run('--remove')).code).toBe(1)
    expect(readFileSync(file, 'utf8')).toBe('[Service]\n')
  })

  it('says which settings of this shell the service will not have', async () => {
    const { cwd } = asUser()
    const { stderr } = await runCli(['startup', '--user'], { cwd, env: { REGENT_PORT: '9', REGENT_TOKEN: 'x' } })
    expect(stderr).toContain('not taken along: REGENT_PORT; put what they set into regent.toml of the project\n')
  })
})
