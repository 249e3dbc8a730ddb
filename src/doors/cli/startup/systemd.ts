import { join } from 'node:path'
import { checkPaths, type Service, type ServiceKind } from './service.ts'

const NAME = 'regent.service'

/**
 * A unit for systemd. Stopping it ends Regent alone (KillMode=process), Delegate lets Regent give each agent a control group, and the
 * shell is named because a unit's program cannot hold a `$`.
 */
export function systemdUnit(service: Service, configHome: string): ServiceKind {
  checkPaths(service)
  const { isSystem, launcher, home, project, path, userHome } = service
  const text = `# Written by \`regent startup\`; \`regent startup --remove\` takes it away.
[Unit]
Description=Regent, which starts and watches agents
${isSystem ? 'Wants=network-online.target\nAfter=network-online.target\n' : ''}
[Service]
Type=exec
ExecStart=/bin/sh ${[launcher, 'serve', '--home', home, '--project', project].map(word).join(' ')}
WorkingDirectory=${specifiers(project)}
Environment=${quoted(`PATH=${path}`)} ${quoted(`HOME=${userHome}`)}
Restart=on-failure
RestartSec=2
KillMode=process
Delegate=yes
${isSystem ? 'OOMScoreAdjust=-900\n' : ''}UMask=0077
LimitNOFILE=65536
TasksMax=infinity
TimeoutStopSec=30

[Install]
WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}
`
  const systemctl = isSystem ? 'systemctl' : 'systemctl --user'
  return {
    file: isSystem ? join('/etc/systemd/system', NAME) : join(configHome, 'systemd/user', NAME),
    text,
    enable: [`${systemctl} daemon-reload`, `${systemctl} enable --now ${NAME}`, ...(isSystem ? [] : ['loginctl enable-linger'])],
    disable: [`${systemctl} disable --now ${NAME}`, `${systemctl} daemon-reload`],
    notes: isSystem ? [] : ['without `loginctl enable-linger` it runs only while you are logged in'],
  }
}

const specifiers = (text: string): string => text.replaceAll('%', '%%')

const quoted = (text: string): string => `"${specifiers(text).replaceAll(/["\\]/g, '\\$&')}"`

/** An argument: `$` would be replaced by a variable. */
const word = (text: string): string => (/^[A-Za-z0-9_./-]+$/.test(text) ? text : quoted(text.replaceAll('$', '$$$$')))
