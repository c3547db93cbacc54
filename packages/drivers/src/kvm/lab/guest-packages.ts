// Fetches what a small Linux guest is made of from the packages of the distribution that this computer runs. Everything is
// unpacked into a folder of ours, nothing is installed, and no root rights are needed.
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { arch } from 'node:os'
import { join } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import { runTool } from './run-tool.ts'

export type GuestPackages = {
  /** All packages laid over each other. */
  readonly tree: string
  readonly kernelFile: string
  readonly modulesFolder: string
  /** The file names of the packages, which carry name and version. */
  readonly packages: readonly string[]
}

const programs = ['busybox-static', 'mtools', 'syslinux', 'syslinux-common', 'qemu-guest-agent', 'sqlite3']
const dependencyQuery = ['--recurse', '--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks']
const dependencyQueryMore = ['--no-replaces', '--no-enhances', '--no-pre-depends']

/** Downloads and unpacks into `folder`, which is emptied first. Refuses where there is no apt or no x86-64. */
export async function fetchGuestPackages(folder: string, signal?: AbortSignal): Promise<GuestPackages> {
  await refuseOtherSystems()
  const downloads = join(folder, 'packages')
  const tree = join(folder, 'tree')
  await rm(folder, { recursive: true, force: true })
  await mkdir(downloads, { recursive: true })
  await mkdir(tree)

  const aptOptions = await findPackageLists(folder, signal)
  const names = [
    ...programs,
    ...(await findKernelPackages(aptOptions, signal)),
    ...(await findLibraries(aptOptions, signal)),
  ]
  await runTool('apt-get', [...aptOptions, 'download', ...names], {
    folder: downloads,
    ...(signal ? { signal } : {}),
  })

  const packages = (await readdir(downloads)).filter((file) => file.endsWith('.deb')).sort()
  for (const file of packages)
    await runTool('dpkg-deb', ['-x', join(downloads, file), tree], toolSignal(signal))
  return { tree, ...(await findKernel(tree)), packages }
}

const toolSignal = (signal?: AbortSignal) => (signal ? { signal } : {})

async function refuseOtherSystems(): Promise<void> {
  const isThere = (file: string) =>
    stat(file).then(
      () => true,
      () => false,
    )
  if (arch() === 'x64' && (await isThere('/usr/bin/apt-get')) && (await isThere('/usr/bin/dpkg-deb'))) return
  throw new Refusal({
    code: 'lab/wrong-system',
    message:
      'The guests of the lab are built from Debian or Ubuntu packages on an x86-64 computer, which this is not',
    remedy: 'Create the lab on Debian or Ubuntu, or register a KVM site of your own.',
  })
}

/** Options that make apt find package lists: the system's own, or, where it has none, lists that we fetch for ourselves. */
async function findPackageLists(folder: string, signal?: AbortSignal): Promise<string[]> {
  const known = await runTool('apt-cache', ['policy', ...programs], toolSignal(signal))
  if (programs.every((name) => new RegExp(`^${name}:\\n.*\\n  Candidate: \\d`, 'm').test(known))) return []

  const state = join(folder, 'apt')
  await mkdir(join(state, 'lists/partial'), { recursive: true })
  await mkdir(join(state, 'cache/archives/partial'), { recursive: true })
  const options = [
    '-o',
    `Dir::State::Lists=${state}/lists`,
    '-o',
    `Dir::Cache=${state}/cache`,
    '-o',
    'APT::Sandbox::User=',
  ]
  await runTool('apt-get', [...options, '-o', 'Debug::NoLocking=1', 'update'], toolSignal(signal))
  return options
}

/** Debian has a small kernel for virtual machines; Ubuntu splits its own in two packages. */
async function findKernelPackages(aptOptions: string[], signal?: AbortSignal): Promise<string[]> {
  for (const metaPackage of ['linux-image-cloud-amd64', 'linux-image-virtual']) {
    const shown = await runTool(
      'apt-cache',
      [...aptOptions, 'depends', metaPackage],
      toolSignal(signal),
    ).catch(() => '')
    const kernel = /Depends: (linux-image-\S+)/.exec(shown)?.[1]
    if (!kernel) continue
    const more = await runTool('apt-cache', [...aptOptions, 'depends', kernel], toolSignal(signal))
    const modules = /Depends: (linux-modules-\S+)/.exec(more)?.[1]
    return modules ? [kernel, modules] : [kernel]
  }
  throw new Refusal({
    code: 'lab/no-kernel-package',
    message:
      'Neither linux-image-cloud-amd64 nor linux-image-virtual is offered by the package sources of this computer',
    remedy: 'Check the package sources (apt-get update), then create the lab again.',
  })
}

async function findLibraries(aptOptions: string[], signal?: AbortSignal): Promise<string[]> {
  const query = [
    ...aptOptions,
    'depends',
    ...dependencyQuery,
    ...dependencyQueryMore,
    'qemu-guest-agent',
    'sqlite3',
  ]
  const shown = await runTool('apt-cache', query, toolSignal(signal))
  return [...new Set(shown.split('\n').filter((line) => /^(lib|zlib)[a-z0-9.+-]+$/.test(line)))]
}

async function findKernel(tree: string): Promise<{ kernelFile: string; modulesFolder: string }> {
  const boot = await readdir(join(tree, 'boot'))
  const kernel = present(
    boot.find((file) => file.startsWith('vmlinuz-')),
    'the kernel package has no vmlinuz',
  )
  const version = kernel.slice('vmlinuz-'.length)
  for (const folder of ['lib/modules', 'usr/lib/modules']) {
    const modulesFolder = join(tree, folder, version)
    if (
      await stat(modulesFolder).then(
        () => true,
        () => false,
      )
    )
      return { kernelFile: join(tree, 'boot', kernel), modulesFolder }
  }
  throw new Error(`no modules for ${version}`)
}

/** Every shared library that `program` needs, by asking the fetched loader itself (files in the tree). */
export async function findSharedLibraries(
  tree: string,
  program: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const loader = await findLoader(tree)
  const folders = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map((folder) => join(tree, folder))
  const listed = await runTool(
    loader,
    ['--inhibit-cache', '--library-path', folders.join(':'), '--list', program],
    toolSignal(signal),
  )
  const files = [...listed.matchAll(/=> (\S+)/g)].map((match) =>
    present(match[1], 'the expression has one group'),
  )
  const foreign = files.find((file) => !file.startsWith(tree))
  if (foreign !== undefined)
    throw new Error(`${program} would use ${foreign}, which is not among the fetched packages`)
  return files
}

export async function findLoader(tree: string): Promise<string> {
  for (const folder of ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu']) {
    const file = join(tree, folder, 'ld-linux-x86-64.so.2')
    if (
      await readFile(file).then(
        (content) => content.length > 0,
        () => false,
      )
    )
      return file
  }
  throw new Error('libc6 has no loader where it is expected')
}
