// The size caps: a file 400 lines, a function 60. A suite callback (`describe`, `describeWith`) of a test is not counted,
// neither as a function of its own nor in the function around it; the tests in it are.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { sources } from './files.mjs'

const fileCap = 400
const functionCap = 60
const folders = ['src', 'web', 'test', 'bench', 'scripts', 'bin', 'templates', 'examples']

export function sizes(root) {
  const files = sources(root, folders)
  const problems = files.flatMap((file) => oversize(file, readFileSync(join(root, file), 'utf8')))
  return { ok: files.length > 0 && problems.length === 0, output: files.length > 0 ? problems.join('\n') : 'no source files found' }
}

function oversize(file, text) {
  const problems = []
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  if (lines > fileCap) problems.push(`${file}: ${lines} lines, the cap is ${fileCap}`)
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const inTest = file.startsWith('test/')
  /** Lines of suite callbacks below a node, so that the function around them is measured without them. */
  const visit = (node) => {
    let exempt = 0
    ts.forEachChild(node, (child) => {
      exempt += visit(child)
    })
    if (!ts.isFunctionLike(node) || node.body === undefined) return exempt
    const length = lineOf(source, node.end) - lineOf(source, node.getStart()) + 1
    if (inTest && isSuite(node)) return length
    if (length - exempt > functionCap)
      problems.push(
        `${file}:${lineOf(source, node.getStart()) + 1}: ${nameOf(node)} has ${length - exempt} lines, the cap is ${functionCap}`,
      )
    return exempt
  }
  visit(source)
  return problems
}

const lineOf = (source, position) => source.getLineAndCharacterOfPosition(position).line

function isSuite(node) {
  if (!ts.isCallExpression(node.parent)) return false
  let callee = node.parent.expression
  while (!ts.isIdentifier(callee)) {
    if (!ts.isPropertyAccessExpression(callee) && !ts.isCallExpression(callee)) return false
    callee = callee.expression
  }
  return /^(describe|describeWith|suite)$/.test(callee.text)
}

function nameOf(node) {
  if (ts.isConstructorDeclaration(node)) return 'the constructor'
  const holds = [ts.isVariableDeclaration, ts.isPropertyAssignment, ts.isPropertyDeclaration].some((kind) => kind(node.parent))
  const name = node.name ?? (holds ? node.parent.name : undefined)
  return name === undefined ? 'a function' : name.getText()
}
