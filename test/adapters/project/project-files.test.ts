import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createProjectFiles } from '../../../src/adapters/project/files/project-files.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { agentRow } from '../../helpers/rows.ts'
import { checkout, optionsOf, secretAt, site, team } from './site.ts'

/** Runs an agent file by hand, as a person would, and answers what it handed to its team. */
function runByHand(file: string): unknown {
  return JSON.parse(execFileSync(process.execPath, [file], { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } }))
}

const hostileTexts = [
  `"double" 'single' \`back\` """triple""" \\ backslash`,
  'a comment */ process.exit(3) /* goes on',
  '// a line comment\nprocess.exit(3)\r\n\u2028\u2029\ttab',
  `\${process.exit(3)} $& $1 $\` $$ {{x}} %s %(here)s`,
  'PLACEHOLDER_AGENT_NAME PLACEHOLDER_INITIAL_TASK_EXECUTION "PLACEHOLDER_JSON_CONFIG"',
  'true false null None undefined NaN',
  '</script><!-- --> \u{1F600} \u0000 \u001b[31m',
  '',
]

describe('an agent file', () => {
  it('stands where it is promised, for its user alone, with its program section [part of S0-29]', async () => {
    const { project, root } = await site()
    const file = await project.write(team())
    expect(file).toBe(join(root, 'agents/ann/agents/finder_agent.mjs'))
    expect(statSync(file ?? '').mode & 0o777).toBe(0o600)
    for (const folder of ['agents', 'agents/ann', 'agents/ann/agents', 'agents/ann/supervisor'])
      expect([folder, statSync(join(root, folder)).mode & 0o777]).toEqual([folder, 0o700])
    expect(readdirSync(join(root, 'agents/ann/agents'))).toEqual(['finder_agent.mjs'])
    expect(readdirSync(join(root, 'agents/ann/supervisor'))).toEqual(['finder.ini'])
  })

  it('hands every value to its team as it was given, whatever it says [I2-TPL-02]', async () => {
    const { project } = await site()
    for (const text of hostileTexts) {
      const definition = {
        subagents: [{ name: text, instruction: text, servers: [text], nested: { [`key ${text}`]: [text, true, false, null, -0.5] } }],
        json_config: { default_model: text, [text]: { deep: [[text]] } },
        initial_task: `task: ${text}`,
      }
      const file = await project.write(team(definition))
      const { subagents, json_config: config, initial_task: task } = definition
      expect(runByHand(file ?? '')).toEqual([['new', { name: 'finder', subagents, config }], ['start'], ['task', task]])
    }
  })

  it('runs no initial task where there is none', async () => {
    const { project } = await site()
    for (const none of [{}, { initial_task: null }, { initial_task: '' }, { initial_task: ' \n' }]) {
      const file = await project.write(team({ subagents: [], json_config: {}, ...none }))
      expect(readFileSync(file ?? '', 'utf8')).toContain('const initialTask = null')
      expect(runByHand(file ?? '')).toEqual([['new', { name: 'finder', subagents: [], config: {} }], ['start']])
    }
  })

  it('leaves references to secrets as they are', async () => {
    const { project } = await site()
    const reference = secretAt('json_config.anthropic.api_key')
    const file = await project.write(team({ subagents: [], json_config: { anthropic: { api_key: reference } } }))
    expect(runByHand(file ?? '')).toMatchObject([['new', { config: { anthropic: { api_key: reference } } }], ['start']])
  })

  it('comes from Regent’s template, the project’s before it, and the one that was named before both [I2-TPL-03] [S0-28]', async () => {
    const { project, root, regentRoot } = await site()
    const agent = team({ subagents: [1], json_config: { a: 1 }, initial_task: 'go' })
    expect(readFileSync((await project.write(agent)) ?? '', 'utf8')).toContain("from 'regent/runner'")
    const own = `out(PLACEHOLDER_SUBAGENTS_CONFIG, PLACEHOLDER_JSON_CONFIG, PLACEHOLDER_AGENT_NAME, PLACEHOLDER_INITIAL_TASK)
PLACEHOLDER_INITIAL_TASK_EXECUTION
`
    writeFileSync(join(root, 'agent_script_template.mjs'), own)
    const compact = (text: string) => text.replace(/\s+/g, ' ').trim()
    expect(compact(readFileSync((await project.write(agent)) ?? '', 'utf8'))).toBe(
      'out([ 1 ], { "a": 1 }, "finder", "go") await team.runInitialTask(initialTask)',
    )
    writeFileSync(join(root, 'named.mjs'), 'named PLACEHOLDER_AGENT_NAME')
    const named = createProjectFiles({ ...(await optionsOf(root, regentRoot)), template: join(root, 'named.mjs') })
    expect(readFileSync((await named.write(agent)) ?? '', 'utf8')).toBe('named "finder"')
  })

  it('takes along the quotes that a template’s author put around a placeholder, and closes no comment of it', async () => {
    const { project, root } = await site()
    const template = `/* PLACEHOLDER_INITIAL_TASK */ out("PLACEHOLDER_INITIAL_TASK", 'PLACEHOLDER_AGENT_NAME', \`PLACEHOLDER_JSON_CONFIG\`)`
    writeFileSync(join(root, 'agent_script_template.mjs'), template)
    const file = await project.write(team({ subagents: [], json_config: {}, initial_task: '*/ throw 1 /*' }))
    expect(readFileSync(file ?? '', 'utf8')).toBe(`/* "*\\/ throw 1 /*" */ out("*\\/ throw 1 /*", "finder", {})`)
  })

  it('is refused, naming the template, when there is none, and leaves nothing behind', async () => {
    const { project, root, regentRoot } = await site()
    rmSync(join(regentRoot, 'templates'), { recursive: true })
    await expect(project.write(team())).rejects.toMatchObject({ code: 'NOT_FOUND', details: { what: 'template' } })
    expect(existsSync(join(root, 'agents/ann'))).toBe(false)
    const named = createProjectFiles({ ...(await optionsOf(root, regentRoot)), template: join(root, 'nowhere.mjs') })
    await expect(named.write(team())).rejects.toMatchObject({ code: 'NOT_FOUND', details: { what: 'template' } })
  })

  it('is replaced by a later one, and removed with its section, again and again', async () => {
    const { project, root } = await site()
    const agent = team()
    await project.write(agent)
    const file = await project.write({ ...agent, definition: { subagents: [], json_config: { changed: true } } })
    expect(readFileSync(file ?? '', 'utf8')).toContain('changed')
    project.log(agent, 'a line')
    await project.close()
    await project.remove(agent)
    await project.remove(agent)
    expect(readdirSync(join(root, 'agents/ann/agents'))).toEqual([])
    expect(readdirSync(join(root, 'agents/ann/supervisor'))).toEqual([])
    expect(existsSync(join(root, 'agents/ann/all.log'))).toBe(true)
  })

  it('of an agent that took over the name stays when the one before it is removed', async () => {
    const { project } = await site()
    const [before, after] = [team(), team()]
    await project.write(before)
    const file = await project.write(after)
    await project.remove(before)
    expect(existsSync(file ?? '')).toBe(true)
    await project.remove(after)
    expect(existsSync(file ?? '')).toBe(false)
  })

  it('is none for other kinds', async () => {
    const { project, root } = await site()
    expect(await project.write(agentRow())).toBeNull()
    await project.remove(agentRow())
    expect(readdirSync(root)).toEqual([])
  })

  it('finds the real runner too', async () => {
    const { project } = await site({ regentRoot: checkout })
    const file = await project.write(team())
    const probe = join(file ?? '', '..', 'probe.mjs')
    writeFileSync(probe, "import { Team } from 'regent/runner'\nconsole.log(typeof Team)\n")
    expect(execFileSync(process.execPath, [probe], { encoding: 'utf8' }).trim()).toBe('function')
  })
})

describe('the link to the runner', () => {
  const link = (root: string) => join(root, 'agents/node_modules/regent')

  it('is made, left alone, and put right when it leads nowhere or elsewhere, at a start too', async () => {
    const { project, root, regentRoot } = await site()
    const agent = team()
    await project.write(agent)
    expect(readlinkSync(link(root))).toBe(regentRoot)
    const before = lstatSync(link(root)).ino
    await project.write(agent)
    expect(lstatSync(link(root)).ino).toBe(before)
    rmSync(link(root))
    symlinkSync(join(root, 'nowhere'), link(root))
    await project.launch(agent, { runId: 'r', start: 1 })
    expect(readlinkSync(link(root))).toBe(regentRoot)
  })

  it('does not replace a real package', async () => {
    const { project, root } = await site()
    mkdirSync(link(root), { recursive: true })
    await project.write(team())
    expect(lstatSync(link(root)).isDirectory()).toBe(true)
  })
})

describe('names and links that would lead out of the project', () => {
  it('are refused', async () => {
    const { project, root } = await site()
    for (const bad of ['../x', '..', '', 'a/b', 'a\0', 'a\nb', '.hidden', 'x'.repeat(65)]) {
      await expect(project.write(team(undefined, { name: bad }))).rejects.toMatchObject({ code: 'INVALID' })
      await expect(project.write(team(undefined, { owner: bad }))).rejects.toMatchObject({ code: 'INVALID' })
      await expect(project.remove(team(undefined, { owner: bad }))).rejects.toMatchObject({ code: 'INVALID' })
      project.log({ owner: bad, name: 'x' }, 'line')
    }
    await project.close()
    expect(readdirSync(root).filter((name) => name !== 'agents')).toEqual([])
    expect(existsSync(join(root, 'agents'))).toBe(false)
  })

  it('are not followed where a folder should be [part of F59]', async () => {
    for (const place of ['agents', 'agents/ann', 'agents/ann/agents', 'agents/ann/supervisor', 'agents/node_modules']) {
      const { project, root } = await site()
      const outside = temporaryFolder()
      writeFileSync(join(outside, 'finder_agent.mjs'), 'theirs')
      mkdirSync(join(root, place, '..'), { recursive: true })
      symlinkSync(outside, join(root, place))
      await expect(project.write(team())).rejects.toMatchObject({ code: 'FORBIDDEN' })
      await project.remove(team())
      project.log(team(), 'line')
      await project.close()
      expect([place, readdirSync(outside)]).toEqual([place, ['finder_agent.mjs']])
    }
  })

  it('are replaced, not written through, where a file should be [part of F59]', async () => {
    const { project, root } = await site()
    const target = join(temporaryFolder(), 'target')
    writeFileSync(target, 'theirs')
    for (const [folder, name] of [
      ['agents', 'finder_agent.mjs'],
      ['supervisor', 'finder.ini'],
    ] as const) {
      mkdirSync(join(root, 'agents/ann', folder), { recursive: true })
      symlinkSync(target, join(root, 'agents/ann', folder, name))
    }
    symlinkSync(target, join(root, 'agents/ann/all.log'))
    const file = await project.write(team())
    project.log(team(), 'line')
    await project.close()
    expect(readFileSync(target, 'utf8')).toBe('theirs')
    expect(lstatSync(file ?? '').isFile()).toBe(true)
    rmSync(file ?? '')
    symlinkSync(target, file ?? '')
    await expect(project.launch(team(), { runId: 'r', start: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('may be how the project itself is reached', async () => {
    const { root } = await site()
    const alias = join(temporaryFolder(), 'alias')
    symlinkSync(root, alias)
    const aliased = createProjectFiles(await optionsOf(alias, checkout))
    expect(aliased.root).toBe(root)
    expect(await aliased.write(team())).toBe(join(root, 'agents/ann/agents/finder_agent.mjs'))
  })

  it('says so when the project cannot be made', async () => {
    const options = await optionsOf('/proc/regent-project/here', checkout)
    expect(() => createProjectFiles(options)).toThrow(expect.objectContaining({ code: 'UNAVAILABLE', hint: expect.any(String) }))
  })

  it('says so when the project cannot be written', async () => {
    const { project, root } = await site()
    writeFileSync(join(root, 'agents'), 'a file in the way')
    await expect(project.write(team())).rejects.toMatchObject({ code: 'FORBIDDEN', hint: expect.any(String) })
    chmodSync(root, 0o700)
  })
})
