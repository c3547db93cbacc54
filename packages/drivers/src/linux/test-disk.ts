// For tests only: disks of files, with file systems that somebody writes to all the time.
import { spawn } from 'node:child_process'
import { mkdtemp, open, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { present } from '@understudy/base/invariant'
import { runCommand } from './run-command.ts'

export type TestDisk = {
  /** The device node. */
  readonly path: string
  readonly mountPoint: string
  /** Creates, overwrites, removes and flushes files until it is stopped. */
  startWriter(): void
  stopWriter(): Promise<void>
  /** The device; its file system stays as it is. */
  grow(bytes: number): Promise<void>
  remove(): Promise<void>
}

/** Runs it to its end, which must be a good one. */
export async function must(command: string, ...parameters: string[]): Promise<string> {
  const { code, output } = await runCommand(command, parameters, { seconds: 120 })
  if (code !== 0) throw new Error(`${command} ${parameters.join(' ')} ended with ${code}: ${output}`)
  return output.trim()
}

/** Fails with what is missing: these tests want root, loop devices and tracefs of the computer that runs them. */
export async function requireLinuxSource(): Promise<void> {
  if (process.geteuid?.() !== 0)
    throw new Error('These tests freeze file systems and read devices: run them as root')
  await stat('/dev/loop-control').catch(() => {
    throw new Error('These tests need loop devices: load the module loop')
  })
  await stat('/sys/kernel/tracing/instances').catch(() =>
    must('mount', '-t', 'tracefs', 'none', '/sys/kernel/tracing'),
  )
}

/** Everything that a file system does to a disk, at a pace that a busy computer still follows. */
const WRITER = `
cd "$1" || exit 1
i=0
while [ ! -e "$2" ]; do
  i=$((i + 1))
  dd if=/dev/urandom of="file-$((i % 23))" bs=16k count=$((i % 9 + 1)) conv=notrunc,fsync status=none
  echo "$i" >> log
  [ $((i % 7)) -ne 0 ] || rm -f "file-$((i * 5 % 23))"
  [ $((i % 11)) -ne 0 ] || { mkdir -p "folder-$i"; mv log "folder-$i/log"; sync -f .; }
done
`

export async function makeTestDisk(type: 'ext4' | 'xfs', bytes: number): Promise<TestDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-linux-'))
  const image = join(folder, 'disk.img')
  const mountPoint = join(folder, 'mounted')
  const stop = join(folder, 'stop')
  const handle = await open(image, 'wx')
  await handle.truncate(bytes)
  await handle.close()
  const path = await must('losetup', '-f', '--show', image)
  await must(`mkfs.${type}`, '-q', ...(type === 'ext4' ? ['-b', '4096'] : []), path)
  await must('mkdir', mountPoint)
  await must('mount', path, mountPoint)
  let ended: Promise<void> | null = null
  const disk: TestDisk = {
    path,
    mountPoint,
    startWriter() {
      const child = spawn('sh', ['-c', WRITER, 'writer', mountPoint, stop], { stdio: 'ignore' })
      ended = new Promise((resolve) => child.on('close', () => resolve()))
    },
    async stopWriter() {
      await must('touch', stop)
      await ended
      await rm(stop, { force: true })
    },
    async grow(to) {
      await must('truncate', '-s', String(to), image)
      await must('losetup', '-c', path)
    },
    async remove() {
      await disk.stopWriter()
      await must('umount', mountPoint)
      await must('losetup', '-d', path)
      await rm(folder, { recursive: true, force: true })
    },
  }
  return disk
}

/** Of every Linux that has Perl: splice(2) from a pipe in which nothing comes, into a file of the file system. */
const HANGING_WRITE = `
open(my $file, '>', $ARGV[0]) or die; $| = 1; print "$$";
syscall($ARGV[1], fileno(STDIN), 0, fileno($file), 0, 4096, 0)
`
const SPLICE: Readonly<Record<string, string>> = { x64: '275', arm64: '76' }

/** A write that the kernel has begun and that does not end before it is told to: whoever freezes waits for it, and cannot be killed. */
export async function startHangingWrite(mountPoint: string): Promise<{ end(): Promise<void> }> {
  const call = present(SPLICE[process.arch], 'the number of splice(2) is known here')
  // What a child gets of us is a socket; the shell makes a pipe.
  const child = spawn(
    'sh',
    ['-c', 'cat | perl -e "$1" "$2" "$3"', 'hanging', HANGING_WRITE, join(mountPoint, 'hanging'), call],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const pid = String(await new Promise((resolve) => child.stdout.once('data', resolve)))
  for (
    let looks = 0;
    !(await readFile(`/proc/${pid}/syscall`, 'latin1')).startsWith(`${call} `);
    looks += 1
  ) {
    if (looks > 600) throw new Error('the write does not hang')
    await sleep(50)
  }
  return {
    async end() {
      child.stdin.end()
      await ended
    },
  }
}

/** Programs that have the folder open, with their state: proc_pid_stat(5). */
export async function holdersOf(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const place = join('/proc', pid)
    const opened = await readdir(join(place, 'fd')).catch(() => [])
    const links = await Promise.all(opened.map((fd) => readlink(join(place, 'fd', fd)).catch(() => '')))
    const [, name, state] =
      /\((.*)\) (\S)/.exec(await readFile(join(place, 'stat'), 'latin1').catch(() => '')) ?? []
    if (links.includes(folder) && name !== undefined) found.push(`${name} ${state}`)
  }
  return found
}

/** What is on the medium now, into a file. */
export const copyDisk = async (path: string, to: string): Promise<void> => {
  await must('dd', `if=${path}`, `of=${to}`, 'bs=1M', 'iflag=direct', 'conv=sparse', 'status=none')
}
