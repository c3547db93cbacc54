/** Reads the tree and prints what `tidy.ts` has to say about it. Exit code 1 when there is a complaint. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkFiles, checkLicenses, checkTopLevel, type LockedPackage, type SourceFile } from './tidy.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** What .gitignore names: nobody wrote it by hand. */
const ignored = new Set(['node_modules', 'dist', 'generated', 'test-results', 'playwright-report'])

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, LockedPackage>
}
const complaints = [
  ...checkTopLevel(readdirSync(root).filter(isOurs)),
  ...checkFiles(['apps', 'packages', 'prisma', 'e2e'].flatMap(readTree), root),
  ...checkLicenses(lock.packages, readLicense),
]
for (const complaint of complaints) console.error(complaint)
console.log(complaints.length === 0 ? 'tidy' : `${complaints.length} complaints`)
process.exitCode = complaints.length === 0 ? 0 : 1

function isOurs(name: string): boolean {
  return !name.startsWith('.') && !ignored.has(name)
}

/** All text files below a folder, paths relative to the root with slashes. */
function readTree(folder: string): SourceFile[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => isOurs(entry.name))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) return readTree(path)
      return entry.isFile() ? [{ path, text: readFileSync(join(root, path), 'utf8') }] : []
    })
}

/** For old packages that name their licence in another way than npm understands. */
function readLicense(path: string): string | undefined {
  const folder = join(root, path)
  if (!existsSync(folder)) return undefined
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    licenses?: { type: string }[]
  }
  if (manifest.licenses?.[0]) return manifest.licenses[0].type
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8')
  return /Permission is hereby granted, free of charge/.test(text) ? 'MIT' : undefined
}
