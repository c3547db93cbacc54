/**
 * What no compiler or linter looks at: names and places of files, words that must not be in them, and the
 * licences of what we ship. Pure: `run-tidy.ts` reads the tree.
 */

export type SourceFile = { path: string; text: string }

/** Everything that may lie at the top, hidden files aside. All of it must be there. */
export const topLevel = [
  'LICENSE',
  'README.md',
  'apps',
  'e2e',
  'package-lock.json',
  'package.json',
  'packages',
  'prisma',
  'turbo.json',
]

const vagueFolder = /(?:^|\/)(utils?|helpers?|common|misc|shared|types|constants)\//

type Word = { pattern: RegExp; where: RegExp; why: string }

const code = /\.(?:[cm]?[jt]s|tsx|css|json|sh|prisma|sql|html)$/
const testFile = /\.(?:test|spec)\.tsx?$/
const words: Word[] = [
  {
    pattern: /(?<![\w.~-])\/(?:home|Users)\/[\w.-]+/,
    where: code,
    why: 'a path of one machine exists on no other',
  },
  {
    pattern: /\b(?:test|it|describe|suite)(?:\.\w+)*\.(?:only|skip|skipIf|runIf|todo|fixme|fails?)\b\s*\(/,
    where: testFile,
    why: 'a test that is left out looks like a test that passed',
  },
  {
    pattern: /\b(?:context|ctx|testInfo|task)\.(?:skip|fixme)\(/,
    where: testFile,
    why: 'a test that is left out looks like a test that passed',
  },
  {
    pattern: /rejectUnauthorized['"]?\s*:\s*false|NODE_TLS_REJECT_\w+/,
    where: code,
    why: 'a connection without a checked certificate is open to anyone between',
  },
  { pattern: /@ts-(?:nocheck)/, where: code, why: 'an unchecked file is where the next fault hides' },
]

/**
 * Complaints about the paths and the text of the files. Paths are relative to the root, with slashes.
 * `checkout` is where the tree lies on this machine, which no file may know.
 */
export function checkFiles(files: SourceFile[], checkout: string): string[] {
  return files.flatMap((file) => [
    ...checkPath(file.path),
    ...checkText(file),
    ...checkOwnPlace(file, checkout),
  ])
}

/** Complaints about the names at the top of the tree. Hidden names and ignored ones are not the caller's to list. */
export function checkTopLevel(names: string[]): string[] {
  const stray = names.filter((name) => !topLevel.includes(name))
  const missing = topLevel.filter((name) => !names.includes(name))
  return [
    ...stray.map((name) => `${name}: does not belong at the top; put it in the package that it serves`),
    ...missing.map((name) => `${name}: is missing at the top`),
  ]
}

function checkPath(path: string): string[] {
  const complaints: string[] = []
  const vague = vagueFolder.exec(path)
  if (vague) complaints.push(`${path}: a folder is named for what it holds, not "${vague[1]}"`)
  if (/(?:^|\/)index\.(?:[cm]?[jt]s|tsx)$/.test(path))
    complaints.push(`${path}: a file is named for its main export; the front door is "exports"`)
  // Vitest collects *.test.ts(x), Playwright e2e/*.spec.ts. Any other name is a test that never runs.
  const isRun = /\.test\.tsx?$/.test(path) || /^e2e\/[^/]+\.spec\.ts$/.test(path)
  if (/\.(?:test|spec)\.[cm]?[jt]sx?$/.test(path) && !isRun)
    complaints.push(`${path}: no runner collects a test of this name`)
  return complaints
}

function checkText({ path, text }: SourceFile): string[] {
  return words
    .filter((word) => word.where.test(path))
    .flatMap(({ pattern, why }) => {
      const found = pattern.exec(text)
      if (!found) return []
      const line = text.slice(0, found.index).split('\n').length
      return [`${path}:${line}: "${found[0]}": ${why}`]
    })
}

function checkOwnPlace({ path, text }: SourceFile, checkout: string): string[] {
  const place = checkout.replace(/\/$/, '')
  // A tree that lies at /src or the like cannot be told from a path of the system.
  if (place.split('/').length < 3) return []
  return text.includes(place)
    ? [`${path}: knows where this checkout lies, which is true on this machine only`]
    : []
}

export type LockedPackage = { license?: string; dev?: boolean; link?: boolean }

/** Licences that put no condition on the programs that use the package. Weak copyleft is fine unmodified. */
const accepted =
  /^(?:MIT|MIT-0|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0|BlueOak-1\.0\.0|Unlicense|CC0-1\.0|MPL-2\.0|EPL-2\.0|OFL-1\.1|PostgreSQL|Python-2\.0|Zlib)$/

/** Named by an address where the author gives the work into the public domain. */
const publicDomain: readonly string[] = ['http://geraintluff.github.io/tv4/LICENSE.txt']

/**
 * Complaints about the licences of everything that is installed for production.
 * `packages` is the table of package-lock.json; `readLicense` answers for a package whose lock entry names none.
 */
export function checkLicenses(
  packages: Record<string, LockedPackage>,
  readLicense: (path: string) => string | undefined,
): string[] {
  return Object.entries(packages)
    .filter(([path, entry]) => path.includes('node_modules/') && !entry.dev && !entry.link)
    .flatMap(([path, entry]) => {
      const license = entry.license ?? readLicense(path)
      if (license === undefined) return [`${path}: its licence is unknown`]
      return isAccepted(license) ? [] : [`${path}: its licence "${license}" is not one that we ship`]
    })
}

/** An SPDX expression of one level: of alternatives one is enough, of a conjunction all must do. */
function isAccepted(license: string): boolean {
  const bare = license.replace(/^\((.*)\)$/, '$1')
  return bare
    .split(/ or /i)
    .some((choice) =>
      choice.split(/ and /i).every((one) => accepted.test(one.trim()) || publicDomain.includes(one.trim())),
    )
}
