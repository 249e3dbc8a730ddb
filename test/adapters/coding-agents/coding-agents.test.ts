import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createCodingAgents } from '../../../src/adapters/coding-agents/coding-agents.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { read, recorded, turnOf } from '../../helpers/turns.ts'

const agents = createCodingAgents()

describe('the table of coding agents', () => {
  it('knows each by its name', () => {
    expect(agents.names).toEqual(['claude', 'codex', 'gemini', 'opencode', 'acp', 'command'])
    for (const name of agents.names) expect(agents.get(name).name).toBe(name)
  })

  it('refuses others, names those that there are, and guesses what was meant', () => {
    const refusal = { code: 'INVALID', message: expect.stringContaining('claude, codex, gemini'), hint: expect.stringContaining('claude') }
    expect(() => agents.get('cluade')).toThrow(expect.objectContaining(refusal))
    expect(() => agents.get('__proto__')).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })
})

describe('finding a program', () => {
  const program = (folder: string, name: string, mode = 0o755): string => {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, name), '#!/bin/sh\n')
    chmodSync(join(folder, name), mode)
    return join(folder, name)
  }

  it('takes the first in the PATH that is a file and can be run', async () => {
    const root = temporaryFolder()
    mkdirSync(join(root, 'a/claude'), { recursive: true })
    program(join(root, 'b'), 'claude', 0o644)
    const wanted = program(join(root, 'c'), 'claude')
    program(join(root, 'd'), 'claude')
    const path = ['a', 'none', 'b', 'c', 'd'].map((name) => join(root, name)).join(':')
    expect(await agents.locate('claude', path, root)).toBe(wanted)
  })

  it('follows links, and looks up a path from the working directory', async () => {
    const root = temporaryFolder()
    const wanted = program(join(root, 'bin'), 'claude')
    symlinkSync(wanted, join(root, 'link'))
    symlinkSync('/nowhere', join(root, 'broken'))
    expect(await agents.locate('./link', '', root)).toBe(join(root, 'link'))
    expect(await agents.locate(wanted, '', '/')).toBe(wanted)
    expect(await agents.locate('./broken', '', root)).toBeUndefined()
  })

  it('finds nothing in an empty PATH, in the working directory, by an empty name', async () => {
    const root = temporaryFolder()
    program(root, 'claude')
    for (const path of ['', ':', '.:', 'relative', join(root, 'claude')]) expect(await agents.locate('claude', path, root)).toBeUndefined()
    for (const name of ['', 'a\0b', '..']) expect(await agents.locate(name, root, root)).toBeUndefined()
  })
})

describe('any command', () => {
  const command = agents.get('command')
  const words = (template: string[], over = {}) => command.command(turnOf({ command: template, prompt: 'a {session} $&', ...over })).argv

  it('fills in prompt and session, and appends the prompt where there is no place for it', () => {
    expect(words(['aider', '--message={prompt}', '{session}'], { sessionId: 's1' })).toEqual(['aider', '--message=a {session} $&', 's1'])
    expect(words(['aider', '--yes'])).toEqual(['aider', '--yes', 'a {session} $&'])
    expect(words(['aider'], { args: ['--say', '{prompt}'] })).toEqual(['aider', '--say', 'a {session} $&'])
  })

  it('refuses a template without a program', () => {
    for (const template of [null, [], [' '], ['{prompt}']])
      expect(() => command.command(turnOf({ command: template }))).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })
})

describe('other CLIs', () => {
  it("Codex's counts are those of its whole thread, and a limit has its time of day", () => {
    const codex = agents.get('codex')
    expect(read(codex, recorded('codex-resumed.jsonl')).outcome).toMatchObject({ tokensOfSession: true, tokens: { output: 21 } })
    const { outcome } = read(codex, recorded('codex-limit.jsonl'), { code: 1 })
    expect(outcome).toMatchObject({ failure: { kind: 'limit' }, limit: { until: expect.any(Number) } })
    const settings = codex.command(turnOf({ permissionMode: 'read-only', appendSystemPrompt: 'a "b"\n' })).argv
    expect(settings).toEqual(expect.arrayContaining(['sandbox_mode="read-only"', 'developer_instructions="a \\"b\\"\\n"']))
  })

  it('Gemini prints one document where its output is not read as it comes', () => {
    const gemini = agents.get('gemini')
    const { outcome } = read(gemini, recorded('gemini.jsonl'), {}, { stream: false })
    expect(outcome).toMatchObject({ ok: true, text: 'gemini heard hello json', tokens: { input: 60, output: 7 } })
    expect(gemini.command(turnOf({ stream: false })).argv).toContain('json')
  })

  it('opencode adds its steps up', () => {
    expect(read(agents.get('opencode'), recorded('opencode-tool.jsonl')).outcome).toMatchObject({
      tokens: { input: 20, output: 10 },
      costUsd: 0,
    })
  })

  it('an ACP agent that stops early has failed', () => {
    const acp = agents.get('acp')
    expect(read(acp, recorded('acp.jsonl')).outcome).toMatchObject({ costUsd: 0.25, tokens: { input: 10, output: 5 } })
    const refusal = recorded('acp.jsonl').replace('end_turn', 'refusal')
    expect(read(acp, refusal).outcome.failure).toEqual({ kind: 'error', message: 'it stopped early: refusal' })
  })
})
