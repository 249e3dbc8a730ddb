/** What stands in a definition in the place of a secret: `${secret:PATH}`, as a whole text. The value is kept apart. */
const reference = /^\$\{secret:([^}]+)\}$/

export const referenceTo = (path: string): string => `\${secret:${path}}`

/** The path that a text refers to, undefined for any other text. */
export function referenced(text: string): string | undefined {
  return reference.exec(text)?.[1]
}
