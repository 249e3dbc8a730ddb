const token = /\s+|"(?:[^"\\\p{Cc}]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\]:,]/uy

/**
 * Where a text that is no JSON goes wrong, as `:line:column`, for the usual mistakes: what is no token at all, a comma too many, a
 * value without a comma before it, an end too early. Empty where none of them is found. The parser itself does not tell.
 */
export function placeOfMistake(text: string): string {
  let before = ','
  let depth = 0
  for (token.lastIndex = 0; token.lastIndex < text.length; ) {
    const start = token.lastIndex
    const [found] = token.exec(text) ?? []
    if (found === undefined) return place(text, start)
    if (/^\s/.test(found)) continue
    const isValue = /^[-"\dtfn{[]/.test(found)
    const closesTooEarly = /^[}\]]$/.test(found) && (before === ',' || before === ':' || depth === 0)
    const lacksComma = isValue && !/^[,:{[]$/.test(before)
    if (lacksComma || closesTooEarly) return place(text, start)
    depth += /^[{[]$/.test(found) ? 1 : /^[}\]]$/.test(found) ? -1 : 0
    before = found
  }
  return depth > 0 ? place(text, text.length) : ''
}

function place(text: string, position: number): string {
  const lines = text.slice(0, position).split('\n')
  return `:${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`
}
