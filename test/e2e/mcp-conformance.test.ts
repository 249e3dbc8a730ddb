// The MCP project's own suite against /mcp. The scenarios left out ask for tools, prompts and resources of a demonstration server.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../helpers/folder.ts'
import { Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'

const scenarios = ['server-initialize', 'ping', 'tools-list', 'resources-list', 'dns-rebinding-protection']

describeWith('mcp-conformance', 'the MCP conformance suite', ({ url: program }) => {
  it('[I5-MCP-03] passes what holds for every server', { timeout: 120_000 }, async () => {
    const regent = await Regent.start()
    for (const scenario of scenarios) {
      const args = [program, 'server', '--url', `${regent.url}/mcp`, '--scenario', scenario, '-o', temporaryFolder()]
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: temporaryFolder(), timeout: 60_000 })
      expect([scenario, /Passed: (\d+)\/\1, 0 failed, 0 warnings/.test(stdout)]).toEqual([scenario, true])
    }
  })
})
