import type { Json } from '../../../kernel/json.ts'
import { isObject } from '../../../kernel/json.ts'

/** What the placeholders of a template stand for. */
export interface TemplateValues {
  readonly name: string
  readonly subagents: Json
  readonly config: Json
  readonly initialTask: string | null
}

/** The longer of two that begin alike stands first. With quotes of the template around it, if there are any. */
const placeholder = /(["'`]?)PLACEHOLDER_(INITIAL_TASK_EXECUTION|INITIAL_TASK|SUBAGENTS_CONFIG|JSON_CONFIG|AGENT_NAME)(?![A-Za-z0-9_$])\1/g

/**
 * Puts the values into a template in one pass, so that what a value says is never read again. Each value is a JSON literal: the text
 * of a person stays data, whatever it says. A placeholder that the template's author put in quotes takes them along.
 */
export function fillTemplate(template: string, values: TemplateValues): string {
  return template.replace(placeholder, (_match, _quote: string, name: string) => replacement(name, values))
}

function replacement(name: string, values: TemplateValues): string {
  switch (name) {
    case 'SUBAGENTS_CONFIG':
      return literal(values.subagents)
    case 'JSON_CONFIG':
      return literal(values.config)
    case 'AGENT_NAME':
      return literal(values.name)
    case 'INITIAL_TASK':
      return literal(values.initialTask)
    default:
      return values.initialTask === null ? '// No initial task.' : 'await team.runInitialTask(initialTask)'
  }
}

/** JSON that is JavaScript too, and that no comment around it can be closed by. */
function literal(value: Json): string {
  return JSON.stringify(value, null, 2).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029').replaceAll('*/', '*\\/')
}

/** The parts of a team's definition that its template gets. */
export function valuesOf(name: string, definition: Readonly<Record<string, Json>>): TemplateValues {
  const { subagents, json_config: config, initial_task: task } = definition
  return {
    name,
    subagents: Array.isArray(subagents) ? subagents : [],
    config: isObject(config) ? (config as Json) : {},
    initialTask: typeof task === 'string' && task.trim() !== '' ? task : null,
  }
}
