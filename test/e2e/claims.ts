// Which promises the tests claim. A test claims a promise by its id in the title: it('creates an agent [S0-01] [P2]', …),
// and says [part of P1] where it shows only a part of it.
// Read from the source, not from a run, so that a test that did not run today still counts; skipped and failing ones do not.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

/** One id in the title of one test. `proves` is false where it is a part, or the test never runs (`skip`, `todo`) or must fail (`fails`). */
export type Claim = { readonly id: string; readonly file: string; readonly line: number; readonly proves: boolean }

const idInTitle = /\[(part of )?([A-Z](?=[A-Z0-9-]*\d)[A-Z0-9]*(?:-[A-Z0-9]+)*)\]/g

/** The claims of every file under test/, conformance suites included. */
export function claimsOfTests(root: string): Claim[] {
  const files = globSync('test/**/*.ts', { cwd: root, exclude: ['test/e2e/requirements/**', 'test/fixtures/**'] })
  return files.sort().flatMap((file) => claimsIn(file, readFileSync(join(root, file), 'utf8')))
}

/** The claims of one source text. */
export function claimsIn(file: string, text: string): Claim[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const claims: Claim[] = []
  const visit = (node: ts.Node, live: boolean): void => {
    const call = ts.isCallExpression(node) ? blockOf(node) : undefined
    const runs = live && !call?.modifiers.some((word) => word === 'skip' || word === 'todo' || word === 'fails')
    if (call?.name === 'it' || call?.name === 'test') {
      const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1
      for (const match of call.title.matchAll(idInTitle))
        claims.push({ id: match[2] ?? '', file, line, proves: runs && match[1] === undefined })
    }
    ts.forEachChild(node, (child) => visit(child, runs))
  }
  visit(source, true)
  return claims
}

type Block = { name: string; modifiers: string[]; title: string }

/** `it.skipIf(x).each(rows)('title', …)` → name `it`, modifiers `skipIf`, `each`, and the title. */
function blockOf(call: ts.CallExpression): Block | undefined {
  const title = call.arguments[0]
  if (title === undefined) return undefined
  const modifiers: string[] = []
  let callee: ts.Expression = call.expression
  while (!ts.isIdentifier(callee)) {
    if (ts.isPropertyAccessExpression(callee)) modifiers.push(callee.name.text)
    if (ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)) callee = callee.expression
    else if (ts.isTaggedTemplateExpression(callee)) callee = callee.tag
    else return undefined
  }
  return { name: callee.text, modifiers, title: textOf(title) }
}

function textOf(node: ts.Expression): string {
  if (ts.isStringLiteralLike(node)) return node.text
  if (ts.isTemplateExpression(node)) return node.head.text + node.templateSpans.map((span) => span.literal.text).join('…')
  if (ts.isBinaryExpression(node)) return textOf(node.left) + textOf(node.right)
  return ''
}
