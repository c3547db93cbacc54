import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const biome = join(root, 'node_modules/.bin/biome')

/**
 * One file per rule, each with the fault that its rule must see. Some words are put together from halves,
 * because the tidy check also reads this file.
 */
const faults: Record<string, string> = {
  'nursery/noFloatingPromises': `
    import { seal } from '@understudy/base/seal'
    export function start(): void {
      seal()
    }`,
  'nursery/noMisusedPromises': `
    import { seal } from '@understudy/base/seal'
    export const state = () => (seal() ? 'sealed' : 'open')`,
  'nursery/useAwaitThenable': `
    export async function wait(): Promise<number> {
      return await 1
    }`,
  'nursery/useExhaustiveSwitchCases': `
    import type { Kind } from '@understudy/base/seal'
    export function cost(kind: Kind): number {
      switch (kind) {
        case 'full':
          return 2
        case 'delta':
          return 1
      }
      return 0
    }`,
  'suspicious/noExplicitAny': 'export const loose: any = 1',
  'suspicious/noFocusedTests': `
    import { test } from 'vitest'
    test.on${'ly'}('alone', () => {})`,
  'suspicious/noSkippedTests': `
    import { test } from 'vitest'
    test.sk${'ip'}('never', () => {})`,
  'suspicious/noTsIgnore': `
    // @ts-ignore
    export const wrong: number = 'one'`,
  'suspicious/noEvolvingTypes': `
    export function collect() {
      const found = []
      found.push(1)
      return found
    }`,
  'suspicious/noVar': 'export var old = 1',
  'style/noNonNullAssertion': `
    export function first(list: number[]): number {
      return list[0]!
    }`,
  'style/noEnum': `
    export enum Kind {
      Full,
    }`,
  'style/noNamespace': `
    export namespace Kind {
      export const full = 1
    }`,
  'style/noParameterProperties': `
    export class Disk {
      constructor(readonly bytes: number) {}
    }`,
  'style/useImportType': `
    import { Kind } from '@understudy/base/seal'
    export const kind: Kind = 'full'`,
  'style/useNodejsImportProtocol': `
    import { join } from 'path'
    export const path = join('a', 'b')`,
  'style/useThrowOnlyError': `
    export function fail(): never {
      throw 'a string has no stack'
    }`,
  'correctness/noUnusedImports': `
    import { seal } from '@understudy/base/seal'
    export const one = 1`,
  'correctness/noUnusedVariables': `
    export function one(): number {
      const two = 2
      return 1
    }`,
  'correctness/noUnusedPrivateClassMembers': `
    export class Disk {
      #bytes = 0
    }`,
  'performance/noBarrelFile': `
    export { seal } from '@understudy/base/seal'
    export type { Kind } from '@understudy/base/seal'`,
  'performance/noReExportAll': `export * from '@understudy/base/seal'`,
}

/** The promise and the union come from another package, as they do in earnest: the lint must follow them there. */
const sound = `
export type Kind = 'full' | 'delta' | 'idle'

export async function seal(): Promise<boolean> {
  return await Promise.resolve(true)
}
`

let tree: string
beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), 'understudy-lint-'))
  await copyFile(join(root, '.biome.json'), join(tree, '.biome.json'))
  await copyFile(join(root, '.gitignore'), join(tree, '.gitignore'))
  await write(
    'packages/base/package.json',
    '{ "name": "@understudy/base", "exports": { "./*": "./src/*.ts" } }',
  )
  await write('packages/base/src/seal.ts', sound)
  await mkdir(join(tree, 'node_modules/@understudy'), { recursive: true })
  await symlink(join(tree, 'packages/base'), join(tree, 'node_modules/@understudy/base'))
  for (const [rule, text] of Object.entries(faults)) await write(pathOf(rule), `${text}\n`)
})
afterAll(() => rm(tree, { recursive: true, force: true }))

describe('lint', () => {
  test('every rule that we switch on by name has a fault planted for it', async () => {
    const config = JSON.parse(await readFile(join(root, '.biome.json'), 'utf8'))
    const { recommended, ...groups } = config.linter.rules
    expect(recommended).toBe(true)
    const named = Object.entries<Record<string, string>>(groups).flatMap(([group, rules]) =>
      Object.keys(rules)
        .filter((rule) => rules[rule] !== 'off')
        .map((rule) => `${group}/${rule}`),
    )
    expect(named.sort()).toEqual(Object.keys(faults).sort())
  })

  test('sound code passes', async () => {
    expect(await lint('packages/base')).toEqual([])
  })

  describe('of files with one fault each', () => {
    let found: string[]
    beforeAll(async () => {
      found = await lint('packages/engine')
    })

    test.each(Object.keys(faults))('reports %s as an error', (rule) => {
      expect(found).toContain(`error lint/${rule} ${pathOf(rule)}`)
    })
  })
})

function pathOf(rule: string): string {
  const name = rule.split('/').at(-1)
  return `packages/engine/src/${name}${rule.endsWith('Tests') ? '.test' : ''}.ts`
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(tree, path)), { recursive: true })
  await writeFile(join(tree, path), text)
}

type Diagnostic = { severity: string; category: string; location: { path: string | { file: string } } }

function lint(path: string): Promise<string[]> {
  const args = ['lint', '--reporter=json', '--max-diagnostics=none', path]
  return new Promise((resolve, reject) => {
    // A non-zero exit is what a found fault gives; no JSON means that the tool itself failed.
    execFile(biome, args, { cwd: tree, maxBuffer: 64 * 1024 * 1024 }, (_error, stdout, stderr) => {
      try {
        const { diagnostics } = JSON.parse(stdout) as { diagnostics: Diagnostic[] }
        resolve(diagnostics.map(describeOne))
      } catch {
        reject(new Error(`Biome failed: ${stderr || stdout}`))
      }
    })
  })
}

function describeOne({ severity, category, location }: Diagnostic): string {
  const path = typeof location.path === 'string' ? location.path : location.path.file
  return `${severity} ${category} ${path}`
}
