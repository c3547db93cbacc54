/** What the browser has to load before a page of the console works, and whether that is still little enough. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

/** Script of one page opened directly until it is there, compressed. In units of 1000 bytes, as browsers show it. */
export const startBudgetKilobytes = 350
/** The same with every dialog, tab and chart that it may load afterwards: what is put off must not grow without end. */
export const wholeBudgetKilobytes = 400

/**
 * @typedef {object} ManifestChunk one entry of Vite's manifest.json
 * @property {string} file
 * @property {boolean} [isEntry]
 * @property {boolean} [isDynamicEntry]
 * @property {string[]} [imports] needed before the chunk can run
 * @property {string[]} [dynamicImports] loaded while it runs
 */
/** @typedef {Record<string, ManifestChunk>} Manifest */
/**
 * @typedef {object} PageSize
 * @property {string} page
 * @property {number} startKilobytes until the page is there
 * @property {number} allKilobytes with every part that it may load afterwards: charts, dialogs, tabs
 */

/**
 * The pages are what the entry loads below `src/pages/`. What the shell loads afterwards counts for each of them.
 * Pure.
 * @param {Manifest} manifest
 * @param {(file: string) => number} sizeOf compressed bytes of one made file
 * @returns {PageSize[]} the largest first
 */
export function measurePages(manifest, sizeOf) {
  const entry = Object.keys(manifest).find((key) => manifest[key]?.isEntry)
  if (entry === undefined) throw new Error('The manifest has no entry')
  const lazy = manifest[entry]?.dynamicImports ?? []
  const pages = lazy.filter((key) => key.startsWith('src/pages/'))
  if (pages.length === 0) throw new Error('The entry loads no page of src/pages: what is to be measured?')
  const shell = lazy.filter((key) => !key.startsWith('src/pages/'))
  const kilobytes = (/** @type {Set<string>} */ keys) => {
    // Two names may lead to one file.
    const files = new Set([...keys].map((key) => chunkOf(manifest, key).file).filter(isScript))
    return [...files].reduce((sum, file) => sum + sizeOf(file), 0) / 1000
  }
  return pages
    .map((page) => ({
      page: page.replace('src/pages/', '').replace(/\.tsx$/, ''),
      startKilobytes: kilobytes(reach(manifest, [entry, page], ['imports'])),
      allKilobytes: kilobytes(
        // From the entry only what it needs: through its pages it reaches all others.
        union(
          reach(manifest, [entry], ['imports']),
          reach(manifest, [page, ...shell], ['imports', 'dynamicImports'], entry),
        ),
      ),
    }))
    .sort((left, right) => right.allKilobytes - left.allKilobytes)
}

/**
 * Prints every page and says which are too large.
 * @param {string} folder where the console was built
 * @returns {string[]} one sentence for each page beyond the budget
 */
export function checkScriptBudget(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, '.vite/manifest.json'), 'utf8'))
  const sizes = measurePages(manifest, (file) => gzipSync(readFileSync(join(folder, file))).length)
  console.log(
    'Script of each page when opened directly, gzip: until it is there, and with all that it may load',
  )
  for (const { page, startKilobytes, allKilobytes } of sizes)
    console.log(
      `  ${page.padEnd(14)} ${startKilobytes.toFixed(0).padStart(4)} kB  ${allKilobytes.toFixed(0).padStart(4)} kB`,
    )
  return sizes.flatMap(({ page, startKilobytes, allKilobytes }) => [
    ...beyond(page, 'loads', startKilobytes, startBudgetKilobytes),
    ...beyond(page, 'loads with all its parts', allKilobytes, wholeBudgetKilobytes),
  ])
}

/**
 * @param {string} page
 * @param {string} what
 * @param {number} kilobytes
 * @param {number} budget
 */
const beyond = (page, what, kilobytes, budget) =>
  kilobytes < budget
    ? []
    : [`${page} ${what} ${kilobytes.toFixed(0)} kB of script, the budget is ${budget} kB`]

/**
 * @param {Manifest} manifest
 * @param {string[]} from
 * @param {('imports' | 'dynamicImports')[]} ways
 * @param {string} [except] is reached, but not passed
 */
function reach(manifest, from, ways, except) {
  const reached = new Set(from)
  for (const key of reached) {
    if (key === except) continue
    for (const way of ways) for (const next of chunkOf(manifest, key)[way] ?? []) reached.add(next)
  }
  return reached
}

/**
 * @param {Manifest} manifest
 * @param {string} key
 */
function chunkOf(manifest, key) {
  const chunk = manifest[key]
  if (chunk === undefined) throw new Error(`The manifest names ${key} and does not say what it is`)
  return chunk
}

/** @param {string} file */
const isScript = (file) => file.endsWith('.js')

/**
 * @param {Set<string>} left
 * @param {Set<string>} right
 */
const union = (left, right) => new Set([...left, ...right])
