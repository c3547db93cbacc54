// The agent as one file that needs nothing beside it: a Node of the pinned version, with our bundle in it (a "single executable application").
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inject } from 'postject'
import { bundleProgram } from './bundle-program.ts'
import { pinnedNode, root } from './environment.mjs'
import { runChild } from './run-child.mjs'

export const programPlatforms = ['linux-x64', 'linux-arm64', 'win-x64'] as const
export type ProgramPlatform = (typeof programPlatforms)[number]

/** As it lies beside the programs, in `manifest.json`. */
export type ProgramManifest = {
  readonly version: string
  readonly programs: Readonly<Partial<Record<ProgramPlatform, BuiltProgram>>>
}
export type BuiltProgram = {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
  /** Of all that it was made from: another one, and it is made anew. */
  readonly inputs: string
}

export type ProgramsToBuild = {
  readonly folder: string
  readonly platforms: readonly ProgramPlatform[]
  /** Where packages of other platforms are kept. */
  readonly cacheFolder: string
}

export const programFolder = join(root, 'apps/agent/dist')
export const programCache = join(root, 'node_modules/.cache/understudy/node-packages')

/** Of this computer; null where no agent is made for it. */
export const ownPlatform = (): ProgramPlatform | null => {
  const name = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  return programPlatforms.find((platform) => platform === name) ?? null
}

/** What Node looks for in itself to know that there is a program in it. From its documentation. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'
const RESOURCE = 'NODE_SEA_BLOB'

/** Makes what is not there or not of these sources. What is of older sources, and was not asked for, goes: it would be offered as if it were of these. */
export async function buildAgentPrograms(wanted: ProgramsToBuild): Promise<ProgramManifest> {
  const { folder, platforms, cacheFolder } = wanted
  await mkdir(folder, { recursive: true })
  const work = await mkdtemp(join(folder, '.building-'))
  try {
    const blob = await makeBlob(work)
    const before = readManifest(folder)
    const programs: Partial<Record<ProgramPlatform, BuiltProgram>> = {}
    for (const platform of programPlatforms) {
      const inputs = digestOf(blob, Buffer.from(JSON.stringify([lockedNode(platform), lockedPostject()])))
      const file = `understudy-agent-${platform}${platform === 'win-x64' ? '.exe' : ''}`
      const built = before?.programs[platform]
      const target = join(folder, file)
      if (built?.inputs === inputs && (await isWhole(target, built))) programs[platform] = built
      else if (platforms.includes(platform)) {
        console.log(`Building ${file}`)
        const draft = join(work, file)
        await copyFile(await nodeOf(platform, cacheFolder), draft)
        await quietly(() => inject(draft, RESOURCE, blob, { sentinelFuse: FUSE }))
        await chmod(draft, 0o755)
        await rename(draft, target)
        const { size } = await stat(target)
        programs[platform] = { file, bytes: size, sha256: await sha256Of(target), inputs }
      } else await rm(target, { force: true })
    }
    const manifest: ProgramManifest = { version: await versionOfAgent(), programs }
    const draft = join(work, 'manifest.json')
    await writeFile(draft, `${JSON.stringify(manifest, null, 2)}\n`)
    await rename(draft, join(folder, 'manifest.json'))
    return manifest
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** With neither snapshot nor code cache it is the same for every platform. */
async function makeBlob(work: string): Promise<Buffer> {
  await bundleProgram({
    entry: join(root, 'apps/agent/src/main.ts'),
    file: join(work, 'agent.cjs'),
    format: 'cjs',
  })
  const config = {
    // Stands in the blob as it stands here: with the folder in it no two builds would be the same.
    main: 'agent.cjs',
    output: 'agent.blob',
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: false,
  }
  await writeFile(join(work, 'sea.json'), JSON.stringify(config))
  const code = await runChild(pinnedNode(), ['--experimental-sea-config', 'sea.json'], {
    cwd: work,
    limitSeconds: 120,
  })
  if (code !== 0) throw new Error(`Node could not make the program's blob: exit code ${code}`)
  return await readFile(join(work, 'agent.blob'))
}

type Locked = { readonly version: string; readonly integrity: string }

const lockedNode = (platform: ProgramPlatform): Locked => locked(`node-${platform}`)
const lockedPostject = (): Locked => locked('postject')

function locked(name: string): Locked {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Partial<Locked>>>
  }
  const { version, integrity } = packages[`node_modules/${name}`] ?? {}
  if (version === undefined || integrity === undefined)
    throw new Error(`package-lock.json does not say which ${name} it is`)
  return { version, integrity }
}

/** Of this platform from node_modules; of another one from its package, which npm leaves out here. */
async function nodeOf(platform: ProgramPlatform, cacheFolder: string): Promise<string> {
  const binary = platform === 'win-x64' ? 'bin/node.exe' : 'bin/node'
  const installed = join(root, 'node_modules', `node-${platform}`, binary)
  if (existsSync(installed)) return installed
  const { version, integrity } = lockedNode(platform)
  const folder = join(cacheFolder, `node-${platform}-${version}`)
  const cached = join(folder, 'package', binary)
  if (existsSync(cached)) return cached
  console.log(`Fetching node-${platform} ${version}`)
  await mkdir(cacheFolder, { recursive: true })
  const work = await mkdtemp(join(cacheFolder, '.fetching-'))
  try {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const wanted = ['pack', `node-${platform}@${version}`, '--pack-destination', work, '--loglevel=error']
    await mustRun(npm, wanted)
    const archive = join(work, `node-${platform}-${version}.tgz`)
    checkIntegrity(`node-${platform} ${version}`, await readFile(archive), integrity)
    await mustRun('tar', ['-xzf', archive, '-C', work, `package/${binary}`])
    await rm(archive)
    await rm(folder, { recursive: true, force: true })
    await rename(work, folder)
    return cached
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Throws unless it is what the lock file names: nothing that runs as root elsewhere is taken on the word of a registry. */
export function checkIntegrity(name: string, content: Buffer, integrity: string): void {
  const found = `sha512-${createHash('sha512').update(content).digest('base64')}`
  if (found !== integrity)
    throw new Error(`${name} is not what package-lock.json names: it is ${found}, not ${integrity}`)
}

async function mustRun(command: string, args: string[]): Promise<void> {
  const code = await runChild(command, args, { limitSeconds: 600 })
  if (code !== 0) throw new Error(`${command} ${args[0]} failed with exit code ${code}`)
}

/** What it says is about sections of Node itself, and is written as if it were an error. */
async function quietly(work: () => Promise<void>): Promise<void> {
  const { log, warn, error } = console
  const said: unknown[] = []
  console.log = console.warn = console.error = (...words: unknown[]) => void said.push(...words)
  try {
    await work()
  } catch (cause) {
    throw new Error(`The program could not be put into Node: ${said.join(' ')}`, { cause })
  } finally {
    Object.assign(console, { log, warn, error })
  }
}

/** Null: nothing was built there. */
export function readManifest(folder: string): ProgramManifest | null {
  const file = join(folder, 'manifest.json')
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProgramManifest
  } catch {
    // Not there, or not whole: all is made anew.
    return null
  }
}

const isWhole = async (file: string, { bytes, sha256 }: BuiltProgram): Promise<boolean> =>
  existsSync(file) && (await stat(file)).size === bytes && (await sha256Of(file)) === sha256

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(piece as Buffer)
  return hash.digest('hex')
}

const digestOf = (...parts: readonly Buffer[]): string => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}\0`).update(part)
  return hash.digest('hex')
}

async function versionOfAgent(): Promise<string> {
  const text = await readFile(join(root, 'apps/agent/src/agent-version.ts'), 'utf8')
  const version = /agentVersion = '([^']+)'/.exec(text)?.[1]
  if (version === undefined) throw new Error('agent-version.ts does not say its version')
  return version
}
