import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { Regent } from '../helpers/regent.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
// biome-ignore lint/suspicious/noTemplateCurlyInString: it must not become one
const hostile = 'Say """hi""", `${process.exit(3)}`, PLACEHOLDER_JSON_CONFIG */ true false null \u2028 </script>'

async function created(more: object = {}): Promise<{ regent: Regent; file: string }> {
  const regent = await Regent.start()
  const { body } = await regent.post('/agents', { ...cryptoTrader({ backend: 'memory', channel_name: 'c' }), initial_task: null, ...more })
  return { regent, file: String(body.file) }
}

/** By hand, as a person would: no variable of Regent's, lines on stdin. */
function byHand(file: string, input: string): string {
  const env = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', LANG: 'C.UTF-8' }
  return execFileSync(process.execPath, [file], { input, env, encoding: 'utf8', timeout: 20_000, stdio: ['pipe', 'pipe', 'ignore'] })
}

/** What is the same in every agent file. */
const frame = (text: string): string[] =>
  [...text.matchAll(/^(?:import|const team|await team\.(?:start|serve)).*$/gm)].map(([line]) =>
    line.replace(/name: ["'][^"']*["']/, 'name'),
  )

describe('the agent file', () => {
  it('[I2-TPL-01] runs by itself, and answers on the terminal', async () => {
    const { file } = await created()
    expect(byHand(file, 'How is ETH doing?\n')).toContain('How is ETH doing?')
  })

  it('[S0-34] [S0-42] has the frame of the shipped sample, which runs as well', async () => {
    const { file } = await created()
    const sample = join(root, 'examples/queen-agent/queen_agent.mjs')
    expect(frame(readFileSync(file, 'utf8'))).toEqual(frame(readFileSync(sample, 'utf8')))
    expect(frame(readFileSync(sample, 'utf8')).length).toBeGreaterThanOrEqual(4)
    expect(byHand(sample, 'Who are you?\n')).toContain('Who are you?')
  })

  it('[I2-API-03] holds what people wrote as data: no text becomes code, and no word of it is changed', async () => {
    const subagents = [{ name: 'x', instruction: hostile }]
    const { regent, file } = await created({ subagents, initial_task: hostile })
    expect(byHand(file, 'hello\n')).toContain('hello')
    const { body } = await regent.fetch('/api/v1/agents/crypto_trader')
    expect(body.definition).toMatchObject({ subagents: [{ instruction: hostile }], initial_task: hostile })
  })

  it('comes from the user’s own template where there is one', async () => {
    const regent = await Regent.start()
    writeFileSync(join(regent.project, 'agent_script_template.mjs'), '// mine: PLACEHOLDER_AGENT_NAME\n')
    const { body } = await regent.post('/agents', cryptoTrader())
    expect(readFileSync(String(body.file), 'utf8')).toContain('// mine: "crypto_trader"')
  })

  it('is written again by apply when somebody removed it, and kept as it is when somebody changed it', async () => {
    const { regent, file } = await created()
    const config = { ...cryptoTrader({ backend: 'memory', channel_name: 'c' }), initial_task: null }
    const json = join(regent.project, 'team.json')
    writeFileSync(json, JSON.stringify(config))
    rmSync(file)
    expect((await regent.post('/agents/crypto_trader/start?username=alice')).status).toBe(404)
    expect((await regent.run('apply', '-f', json)).stdout).toContain('unchanged')
    expect((await regent.post('/agents/crypto_trader/start?username=alice')).status).toBe(200)
    appendFileSync(file, '// mine\n')
    await regent.run('apply', '-f', json)
    expect(readFileSync(file, 'utf8')).toContain('// mine')
  })
})
