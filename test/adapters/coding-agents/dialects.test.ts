import { createCodingAgents } from '../../../src/adapters/coding-agents/coding-agents.ts'
import { codingAgentConformance } from '../../conformance/coding-agent.ts'
import { recorded } from '../../helpers/turns.ts'

const agents = createCodingAgents()

codingAgentConformance({
  agent: agents.get('claude'),
  good: { printed: recorded('claude-tool.jsonl'), text: 'after tool', session: '51111111-1111-4111-8111-111111111111', tool: 'Write' },
  refused: { printed: recorded('claude-400.jsonl'), words: 'API Error: 400 bad thing' },
})

codingAgentConformance({
  agent: agents.get('codex'),
  good: {
    printed: recorded('codex-tool.jsonl'),
    text: 'codex heard hello tool',
    session: '01a2322e-d73b-7cf0-a79d-17fbf2c1b7bf',
    tool: 'shell',
  },
  refused: { printed: recorded('codex-400.jsonl'), words: 'scripted 400' },
})

codingAgentConformance({
  agent: agents.get('gemini'),
  good: {
    printed: recorded('gemini-tool.jsonl'),
    text: 'gemini heard',
    session: '61111111-1111-4111-8111-111111111111',
    tool: 'list_directory',
  },
  refused: {
    printed: '',
    stderr: '{\n  "error": {\n    "type": "Error",\n    "message": "Invalid auth method selected.",\n    "code": 41\n  }\n}\n',
    words: 'Invalid auth method selected.',
  },
})

codingAgentConformance({
  agent: agents.get('opencode'),
  good: { printed: recorded('opencode-tool.jsonl'), text: 'heard', session: 'ses_dcdea1626ffe7cVVXF4vPj5QSv', tool: 'bash' },
  refused: { printed: recorded('opencode-400.jsonl'), words: 'scripted (status 400)' },
})

codingAgentConformance({
  agent: agents.get('acp'),
  base: { command: ['agent', '--acp'] },
  good: { printed: recorded('acp.jsonl'), text: 'heard hello bridge', session: 'ses_dcdd36341ffegAkMcKYxyebg25', tool: 'bash' },
  refused: { printed: '{"type":"error","message":"Authentication required","missing":false}\n', words: 'Authentication required' },
})

codingAgentConformance({
  agent: agents.get('command'),
  base: { command: ['agent'] },
  good: { printed: 'thinking\nhello\n', text: 'hello', session: null, tool: null },
  refused: { printed: '', stderr: 'no such model\n', words: 'no such model' },
})
