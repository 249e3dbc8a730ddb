// The environment is read in one place: no `process.env` in src/ outside the configuration and the two composition roots.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { sources } from './files.mjs'

const allowed = /^src\/(config\/.*|main\.ts|runner\/compose\.ts)$/

export function environment(root) {
  const files = sources(root, ['src']).filter((file) => !allowed.test(file))
  const problems = files.flatMap((file) => readsOf(file, readFileSync(join(root, file), 'utf8')))
  return { ok: problems.length === 0, output: problems.join('\n') }
}

function readsOf(file, text) {
  if (!/\benv\b/.test(text)) return []
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const names = new Set(['process', ...importedNames(source)])
  const problems = []
  const visit = (node) => {
    if (readsEnvironment(node, names)) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart())
      problems.push(`${file}:${line + 1}: reads the environment; take it from the configuration instead`)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return problems
}

const isProcessModule = (node) => ts.isStringLiteral(node) && (node.text === 'process' || node.text === 'node:process')

/** Other names under which a file imports the whole process module. */
function importedNames(source) {
  return source.statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) || !isProcessModule(statement.moduleSpecifier)) return []
    const { name, namedBindings } = statement.importClause ?? {}
    return [name?.text, namedBindings && ts.isNamespaceImport(namedBindings) ? namedBindings.name.text : undefined].filter(
      (text) => text !== undefined,
    )
  })
}

function readsEnvironment(node, names) {
  const isProcess = (value) =>
    (ts.isIdentifier(value) && names.has(value.text)) || (ts.isPropertyAccessExpression(value) && value.name.text === 'process')
  if (ts.isPropertyAccessExpression(node)) return node.name.text === 'env' && isProcess(node.expression)
  if (ts.isElementAccessExpression(node)) return isEnv(node.argumentExpression) && isProcess(node.expression)
  if (ts.isImportSpecifier(node)) return isEnv(node.propertyName ?? node.name) && isProcessModule(node.parent.parent.parent.moduleSpecifier)
  if (!ts.isBindingElement(node) || !isEnv(node.propertyName ?? node.name)) return false
  const declared = node.parent.parent
  return ts.isVariableDeclaration(declared) && declared.initializer !== undefined && isProcess(declared.initializer)
}

const isEnv = (node) => (ts.isIdentifier(node) || ts.isStringLiteral(node)) && node.text === 'env'
