import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ScriptAction } from '@understudy/domain/recovery-plans/step-action'
import { Cancelled } from '@understudy/engine/ports/cancelled'
import type { StepWork } from '@understudy/engine/ports/step-runner'
import { describe, expect, test } from 'vitest'
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts'
import { scriptFiles } from './script-files.ts'
import { appears, readJson, script, shell, testSteps, workFor } from './test-work.ts'

const { folders, run, fails } = testSteps()
const filesOf = ({ attemptId }: StepWork) => scriptFiles(join(folders.own, attemptId))

describe('a script on the server', () => {
  test('is a program and its arguments, never a line of a shell', async () => {
    const { note, output } = await run(workFor(script('echo', ['a; touch b', '$HOME', '`id`', '', 'ü'])))
    expect(output).toBe('a; touch b $HOME `id`  ü\n')
    expect(note).toBe('echo ended with exit code 0')
  })

  test('prints both streams in their order', async () => {
    const line = 'for i in 1 2 3 4 5 6 7 8 9; do echo out$i; echo err$i >&2; done; echo last > /dev/stderr'
    const { output } = await run(workFor(shell(line)))
    const pairs = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => `out${i}\nerr${i}\n`)
    expect(output).toBe(`${pairs.join('')}last\n`)
  })

  test('sees a small environment, the variables of its step and the context, and nothing of ours', async () => {
    process.env.OUR_SECRET = 'hidden'
    const action = script('env', [], { environment: { STAGE: 'two words' } })
    const { output } = await run(workFor(action))
    const names = (output ?? '')
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0])
    expect(names.toSorted()).toEqual(['HOME', 'LANG', 'PATH', 'STAGE', 'UNDERSTUDY_CONTEXT'])
    expect(output).toContain('UNDERSTUDY_CONTEXT={"plan":"Web shop"}\n')
    expect(output).toContain('STAGE=two words\n')
  })

  test('finds a context that no variable can hold in a file', async () => {
    const context = JSON.stringify({ machines: 'x'.repeat(300_000) })
    const action = shell('test -z "$UNDERSTUDY_CONTEXT" && wc -c < "$UNDERSTUDY_CONTEXT_FILE"')
    const { output } = await run(workFor(action, { context }))
    expect(Number(output)).toBe(context.length)
  })

  test('runs in an empty folder of its own, with nothing to read', async () => {
    const { output } = await run(workFor(shell('pwd; ls -A; cat')))
    expect(output).toMatch(/\/attempt-\d+\/work\n$/)
  })

  test('that ends with another exit code than 0 has failed, with what it printed', async () => {
    const failure = await fails(workFor(shell('echo begins; echo "no such volume" >&2; exit 3')))
    expect(failure).toMatchObject({
      code: 'step/script-failed',
      message: 'sh ended with exit code 3: no such volume',
      output: 'begins\nno such volume\n',
    })
  })

  test('that a signal ends has failed', async () => {
    expect(await fails(workFor(shell('kill -SEGV $$')))).toMatchObject({
      code: 'step/script-failed',
      message: 'sh was ended by SIGSEGV',
      output: null,
    })
  })

  test('cannot be started: each cause is told apart', async () => {
    const plain = join(folders.traces, 'plain-text')
    await writeFile(plain, 'just text\n', { mode: 0o644 })
    const lost = join(folders.traces, 'lost-interpreter')
    await writeFile(lost, '#!/no/such/interpreter\n', { mode: 0o755 })
    const codes: [ScriptAction, string][] = [
      [script('/no/such/program'), 'step/no-program'],
      [script('no-such-program-anywhere'), 'step/no-program'],
      [script('./relative'), 'step/no-program'],
      [script(''), 'step/no-program'],
      [script(lost), 'step/no-program'],
      [script(plain), 'step/not-executable'],
      [script(folders.own), 'step/not-executable'],
      [script('echo', ['a\0b']), 'step/bad-argument'],
      [script('true', ['x'.repeat(200_000)]), 'step/arguments-too-long'],
    ]
    const told = codes.map(async ([action]) => {
      const { code, remedy } = await fails(workFor(action))
      expect(remedy).not.toBe('')
      return [action, code]
    })
    expect(await Promise.all(told)).toEqual(codes)
  })

  test('that prints without end fills neither disk nor memory, and its beginning and end are kept', async () => {
    const [printed, go] = [join(folders.traces, 'printed'), join(folders.traces, 'go')]
    const line = `echo first; head -c 50000000 /dev/zero | tr "\\0" "x" | fold -w 99; touch ${printed}; while [ ! -e ${go} ]; do sleep 0.05; done; echo last`
    const work = workFor(shell(line))
    const running = run(work)
    await appears(printed)
    const { head, tail } = filesOf(work)
    expect((await readFile(head)).length).toBe(32 * 1024)
    expect(existsSync(tail)).toBe(false)
    await writeFile(go, '')
    const { output } = await running
    expect(output?.slice(0, 12)).toBe('first\nxxxxxx')
    expect(output?.slice(-6)).toBe('xlast\n')
    expect(output).toMatch(/\n\[\.\.\. \d{8} bytes are left out here \.\.\.\]\n/)
    expect(Buffer.byteLength(output ?? '')).toBeLessThan(140_000)
  })

  test('may print anything: what is kept of it is a text', async () => {
    const { output } = await run(workFor(shell('printf "\\377\\000\\303\\n"; head -c 300000 /dev/urandom')))
    expect(output?.isWellFormed()).toBe(true)
    expect(output).not.toContain('\0')
    expect(output?.startsWith('���\n')).toBe(true)
  })

  test('ends when it ends, whoever goes on in the background with its output', async () => {
    const begun = Date.now()
    const work = workFor(shell('sleep 25 & echo done'))
    expect((await run(work)).output).toBe('done\n')
    expect(Date.now() - begun).toBeLessThan(10_000)
  })

  test('that outlives its time is ended with everything that it has started, even if it does not listen', async () => {
    const marker = join(folders.traces, 'child-pid')
    const line = `trap "" TERM; echo waiting; sh -c 'trap "" TERM; echo $$ > ${marker}; while :; do sleep 0.2; done' & wait; while :; do sleep 0.2; done`
    const failure = await fails(workFor(shell(line), { deadline: Date.now() + 1500 }))
    expect(failure).toMatchObject({ code: 'step/timeout', output: 'waiting\n' })
    expect(identify(Number(await readFile(marker, 'utf8')))).toBeNull()
  })

  test('that is cancelled is asked to end, and may clean up', async () => {
    const [ready, cleaned] = [join(folders.traces, 'ready'), join(folders.traces, 'cleaned')]
    const cancel = new AbortController()
    const work = workFor(
      shell(`trap 'touch ${cleaned}; exit 1' TERM; touch ${ready}; while :; do sleep 0.1; done`),
    )
    const running = run(work, cancel.signal)
    await appears(ready)
    cancel.abort(new Cancelled())
    await expect(running).rejects.toMatchObject({ name: 'AbortError' })
    expect(existsSync(cleaned)).toBe(true)
    const leader = await readJson<ProcessIdentity>(filesOf(work).script)
    expect(isAlive(leader)).toBe(false)
  })

  test('is not begun when its time was up before', async () => {
    const file = join(folders.traces, 'too-late')
    const failure = await fails(workFor(script('touch', [file]), { deadline: Date.now() - 1 }))
    expect(failure.code).toBe('step/timeout')
    expect(existsSync(file)).toBe(false)
  })

  const mask = (text: string): string => text.replaceAll(/\w+-secret/g, '***')
  test.each([
    ['succeeds', 'exit 0', null],
    ['fails', 'exit 3', 'step/script-failed'],
    ['is out of time', 'sleep 60', 'step/timeout'],
    ['is lost', 'kill -KILL $PPID', 'step/interrupted'],
  ])('leaves no secret on the disk once it has ended: when it %s', async (_, last, code) => {
    const line = `echo "$1 $KEY"; echo more; ${last}`
    const action = script('sh', ['-c', line, 'sh', 'argument-secret'], {
      environment: { KEY: 'variable-secret' },
    })
    const work = workFor(action, { mask, deadline: Date.now() + (code === 'step/timeout' ? 3000 : 60_000) })
    const outcome = () => (code === null ? run(work) : fails(work))
    const first = await outcome()
    if (code !== 'step/interrupted') expect(first.output).toBe('*** ***\nmore\n')
    expect(await outcome()).toEqual(first)
    const own = join(folders.own, work.attemptId)
    for (const name of await readdir(own, { recursive: true, withFileTypes: true }))
      if (name.isFile())
        expect(await readFile(join(name.parentPath, name.name), 'latin1')).not.toContain('secret')
  })
})
