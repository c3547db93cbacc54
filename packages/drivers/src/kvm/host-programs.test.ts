import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  endOf,
  hostProgram,
  hostProgramsContract,
} from '@understudy/simulator/contracts/host-programs-contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hostPrograms } from './host-programs.ts'
import { localHost } from './local-host.ts'
import { testHost } from './test-host.ts'

const newFolder = () => mkdtemp(join(tmpdir(), 'us-host-programs-'))
const programsIn = (machinesFolder: string) => hostPrograms(localHost({ name: 'here', machinesFolder }))
const pass = async (milliseconds: number): Promise<void> => {
  await sleep(milliseconds)
}

hostProgramsContract('kvm, this computer', async () => {
  const folder = await newFolder()
  return {
    programs: programsIn(folder),
    reopen: async () => programsIn(folder),
    pass,
    close: () => rm(folder, { recursive: true, force: true }),
  }
})

describe('a program on a host', () => {
  let folder: string
  beforeAll(async () => {
    folder = await newFolder()
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))
  const own = (id: string) => join(folder, '.us-programs', id)
  const run = async (line: string, more: Parameters<typeof hostProgram>[2] = {}) => {
    const programs = programsIn(folder)
    const id = randomUUID()
    await programs.begin(id, hostProgram('sh', ['-c', line], more))
    const end = await endOf({ pass }, programs, id)
    if (end.kind !== 'ended') throw new Error(end.kind)
    return { ...end, id, text: Buffer.concat([end.head, end.tail]).toString() }
  }

  test('sees a small environment, what it was given, and nothing of ours', async () => {
    process.env.OUR_SECRET = 'hidden'
    const { text } = await run('env; pwd; ls -A; cat', { environment: { STAGE: "it's two\nlines" } })
    const names = [...text.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name)
    // PWD is the shell's own.
    expect(names.toSorted()).toEqual(['HOME', 'LANG', 'PATH', 'PWD', 'STAGE'])
    expect(text).toContain("STAGE=it's two\nlines\n")
    expect(text).toMatch(/\/work\n$/)
  })

  test('finds a long context in a file, and prints both streams in their order', async () => {
    const contextFile = 'ü'.repeat(150_000)
    const { text } = await run('wc -c < "$UNDERSTUDY_CONTEXT_FILE" >&2; echo out; echo err >&2; echo out', {
      contextFile,
    })
    expect(text).toBe('300000\nout\nerr\nout\n')
  })

  test('that prints without end fills neither disk nor memory', async () => {
    const { id, head, tail, bytes } = await run(
      'echo first; head -c 20000000 /dev/zero | tr "\\0" x; echo last',
    )
    expect(head.toString().slice(0, 7)).toBe('first\nx')
    expect(tail.toString().slice(-6)).toBe('xlast\n')
    expect([head.length, tail.length, bytes]).toEqual([1000, 1000, 20_000_011])
    expect((await stat(join(own(id), 'end'))).size).toBeLessThan(2200)
  })

  test('ends when it ends, whoever goes on in the background with its output', async () => {
    const begun = performance.now()
    const { text, exitCode } = await run('sleep 25 & echo done; exit 3')
    expect([text, exitCode]).toEqual(['done\n', 3])
    expect(performance.now() - begun).toBeLessThan(10_000)
  })

  test('that a signal ends is told by its name', async () => {
    expect(await run('kill -SEGV $$')).toMatchObject({ exitCode: null, signal: 'SIGSEGV', endedBy: 'itself' })
  })

  test('is ended with everything that it has started, even if nothing of it listens', async () => {
    const file = join(folder, 'child-pid')
    const line = `trap "" TERM; sh -c 'trap "" TERM; echo $$ > ${file}; while :; do sleep 0.2; done' & wait; sleep 60`
    const { endedBy } = await run(line, { limitMilliseconds: 1000 })
    expect(endedBy).toBe('timeout')
    const child = Number(await readFile(file, 'utf8'))
    expect(await localHost({ name: 'here', machinesFolder: folder }).commandLineOf(child)).toBeNull()
  })

  test('whose keeper was killed is lost: that it still runs is told', async () => {
    const programs = programsIn(folder)
    const id = randomUUID()
    await programs.begin(id, hostProgram('sleep', ['60']))
    const [keeper] = (await readFile(join(own(id), 'claim'), 'utf8')).split(' ')
    const [program] = (await readFile(join(own(id), 'program'), 'utf8')).split(' ')
    process.kill(Number(keeper), 'SIGKILL')
    await expect.poll(() => programs.state(id)).toEqual({ kind: 'lost', pid: Number(program) })
    await programs.begin(id, hostProgram('sleep', ['60']))
    await programs.end(id)
    await expect.poll(() => programs.state(id)).toEqual({ kind: 'lost', pid: null })
  })

  test('is begun by a whole order only, and leaves nothing of it on the disk', async () => {
    const { id } = await run('true', { environment: { KEY: 'variable-secret' } })
    for (const entry of await readdir(own(id), { withFileTypes: true }))
      if (entry.isFile())
        expect(await readFile(join(own(id), entry.name), 'latin1')).not.toContain('variable-secret')
    const half = localHost({ name: 'here', machinesFolder: folder })
    const cut = hostPrograms({
      ...half,
      run: (command, args, options) =>
        half.run(command, args, options?.input ? { ...options, input: options.input.slice(0, -4) } : options),
    })
    const other = randomUUID()
    await expect(cut.begin(other, hostProgram('true'))).rejects.toMatchObject({ code: 'kvm/host-failed' })
    expect(await programsIn(folder).state(other)).toEqual({ kind: 'unknown' })
  })

  test('at a host that is away is an outage, and one without perl says what to install', async () => {
    const away = testHost('away', folder)
    away.cutOff = true
    const code = 'kvm/host-unreachable'
    await expect(hostPrograms(away).begin(randomUUID(), hostProgram('true'))).rejects.toMatchObject({ code })
    await expect(hostPrograms(away).state(randomUUID())).rejects.toMatchObject({ code })
    const bare = localHost({ name: 'bare', machinesFolder: folder })
    const without = hostPrograms({ ...bare, run: async () => ({ code: 127, stdout: '', stderr: '' }) })
    await expect(without.begin(randomUUID(), hostProgram('true'))).rejects.toMatchObject({
      name: 'Refusal',
      code: 'host-program/no-perl',
    })
  })

  test('that nobody has asked for again is removed days after its end', async () => {
    const old = own('old')
    await mkdir(old, { recursive: true })
    const then = Date.now() / 1000 - 10 * 24 * 3600
    await utimes(old, then, then)
    const { id } = await run('true')
    expect([existsSync(old), existsSync(own(id))]).toEqual([false, true])
  })
})
