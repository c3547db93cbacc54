import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkScriptBudget, measurePages } from './script-budget.mjs'

const manifest = {
  'index.html': {
    file: 'entry.js',
    isEntry: true,
    imports: ['_react'],
    dynamicImports: ['src/pages/Small.tsx', 'src/pages/Large.tsx', 'src/app/Search.tsx'],
  },
  _react: { file: 'react.js' },
  'src/app/Search.tsx': { file: 'search.js' },
  'src/pages/Small.tsx': { file: 'small.js', imports: ['_react', 'index.html'] },
  'src/pages/Large.tsx': { file: 'large.js', imports: ['_shared'], dynamicImports: ['src/charts.tsx'] },
  _shared: { file: 'shared.js' },
  'src/charts.tsx': { file: 'charts.js', imports: ['_shared', '_style'] },
  _style: { file: 'charts.css' },
}
const bytes: Readonly<Record<string, number>> = {
  'entry.js': 1_000,
  'react.js': 10_000,
  'search.js': 100,
  'small.js': 2_000,
  'large.js': 3_000,
  'shared.js': 20_000,
  'charts.js': 40_000,
}
const sizeOf = (file: string): number => bytes[file] ?? Number.NaN

describe('the script of a page opened directly', () => {
  test('is the entry, the page and what both need, each counted once', () => {
    const [large, small] = measurePages(manifest, sizeOf)
    expect(small).toMatchObject({ page: 'Small', startKilobytes: 13 })
    expect(large).toMatchObject({ page: 'Large', startKilobytes: 34 })
  })
  test('with what the page and the shell load afterwards, but without the other pages', () => {
    const [large, small] = measurePages(manifest, sizeOf)
    expect(small?.allKilobytes).toBeCloseTo(13.1)
    expect(large?.allKilobytes).toBeCloseTo(74.1)
  })
  test('is never measured as nothing: without an entry or a page it throws', () => {
    expect(() => measurePages({}, sizeOf)).toThrow('no entry')
    expect(() => measurePages({ 'index.html': { file: 'entry.js', isEntry: true } }, sizeOf)).toThrow(
      'no page',
    )
  })
})

describe('the budget', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'us-budget-'))
    await mkdir(path.join(folder, '.vite'))
    await writeFile(path.join(folder, '.vite/manifest.json'), JSON.stringify(manifest))
    for (const file of Object.keys(bytes)) await writeFile(path.join(folder, file), '')
  })
  afterEach(() => rm(folder, { recursive: true }))

  test('is kept by small pages', () => {
    expect(checkScriptBudget(folder)).toEqual([])
  })
  test.each([
    ['until it is there', 'large.js', 360_000, /^Large loads 3\d\d kB .* 350 kB$/],
    ['with what it loads later', 'charts.js', 410_000, /^Large loads with all its parts 4\d\d kB .* 400 kB$/],
  ])('is passed by what a page loads %s, and the page is named', async (_when, file, outputLength, words) => {
    // Noise does not compress.
    const noise = createHash('shake256', { outputLength }).update('noise').digest()
    await writeFile(path.join(folder, file), noise)
    expect(checkScriptBudget(folder)).toEqual([expect.stringMatching(words)])
  })
})
