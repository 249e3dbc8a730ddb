import { join } from 'node:path'
import { checkPaths, type Service, type ServiceKind } from './service.ts'

const LABEL = 'regent'

/** A property list for launchd of macOS. AbandonProcessGroup leaves agents alone when Regent ends. */
export function launchdPlist(service: Service): ServiceKind {
  checkPaths(service)
  const { isSystem, launcher, home, project, path, userHome } = service
  const folder = isSystem ? '/Library/LaunchDaemons' : join(userHome, 'Library/LaunchAgents')
  const file = join(folder, `${LABEL}.plist`)
  const domain = isSystem ? 'system' : `gui/$(id -u)`
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by \`regent startup\`; \`regent startup --remove\` takes it away. -->
<plist version="1.0">
<dict>
  <key>Label</key><string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${['/bin/sh', launcher, 'serve', '--home', home, '--project', project].map((one) => `    ${string(one)}`).join('\n')}
  </array>
  <key>WorkingDirectory</key>${string(project)}
  <key>EnvironmentVariables</key>
  <dict><key>PATH</key>${string(path)}<key>HOME</key>${string(userHome)}</dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ThrottleInterval</key><integer>2</integer>
  <key>AbandonProcessGroup</key><true/>
  <key>Umask</key><integer>63</integer>
  <key>SoftResourceLimits</key><dict><key>NumberOfFiles</key><integer>65536</integer></dict>
  <key>StandardErrorPath</key>${string(join(home, 'launchd.log'))}
</dict>
</plist>
`
  return {
    file,
    text,
    enable: [`launchctl bootstrap ${domain} ${shellWord(file)}`],
    disable: [`launchctl bootout ${domain}/${LABEL}`],
    notes: [],
  }
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
const string = (text: string): string => `<string>${text.replaceAll(/[&<>]/g, (char) => entities[char] ?? char)}</string>`

const shellWord = (text: string): string => (/^[A-Za-z0-9_./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
