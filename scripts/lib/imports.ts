import ts from 'typescript'

/** An edge that must not exist. `from` and `to` are regular expressions on the importing file and on the specifier. */
export interface ImportRule {
  readonly from: RegExp
  /** Files that match `from` and are exempt all the same. */
  readonly except?: RegExp
  readonly to: RegExp
  readonly reason: string
}

export interface ImportViolation {
  readonly file: string
  readonly specifier: string
  readonly reason: string
}

export interface FoundImport {
  readonly specifier: string
  /** `import type`: gone after compilation. */
  readonly typeOnly: boolean
}

/** Every module that a source text names: static, dynamic, re-exported, `require`d or got with `process.getBuiltinModule`. */
export function importsOf(source: string): FoundImport[] {
  const found: FoundImport[] = []
  const file = ts.createSourceFile('x.ts', source, ts.ScriptTarget.Latest, true)
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      found.push({
        specifier: node.moduleSpecifier.text,
        typeOnly: node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword,
      })
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier !== undefined &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      found.push({ specifier: node.moduleSpecifier.text, typeOnly: node.isTypeOnly })
    } else if (ts.isCallExpression(node)) {
      const [argument] = node.arguments
      const callee = node.expression
      const loads =
        callee.kind === ts.SyntaxKind.ImportKeyword ||
        (ts.isIdentifier(callee) && callee.text === 'require') ||
        (ts.isPropertyAccessExpression(callee) && callee.name.text === 'getBuiltinModule')
      if (loads && argument !== undefined && ts.isStringLiteral(argument)) {
        found.push({ specifier: argument.text, typeOnly: false })
      }
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      const { literal } = node.argument
      if (ts.isStringLiteral(literal)) found.push({ specifier: literal.text, typeOnly: true })
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

/** The forbidden ones among a file's imports. */
export function violations(
  file: string,
  imports: readonly FoundImport[],
  rules: readonly ImportRule[],
): ImportViolation[] {
  return imports.flatMap(({ specifier }) =>
    rules
      .filter((rule) => rule.from.test(file) && rule.except?.test(file) !== true && rule.to.test(specifier))
      .map(({ reason }) => ({ file, specifier, reason })),
  )
}
