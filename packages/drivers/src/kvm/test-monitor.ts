// A monitor for tests: a QEMU that only answers.
import net from 'node:net'

export type TestMonitor = {
  /** Commands, in the order in which they came. */
  readonly asked: string[]
  close(): void
}

/** Answers what `answers` knows, and `{}` to all else. Ends at `quit`. */
export async function testMonitor(
  path: string,
  answers: Readonly<Record<string, () => unknown>>,
): Promise<TestMonitor> {
  const asked: string[] = []
  const known: Readonly<Record<string, () => unknown>> = { 'qom-list': () => [], ...answers }
  const server = net.createServer((socket) => {
    socket.write('{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}, "capabilities": []}}\n')
    let rest = ''
    socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines.filter((text) => text.trim() !== '')) {
        const { execute, id } = JSON.parse(line) as { execute: string; id?: number }
        asked.push(execute)
        socket.write(`${JSON.stringify({ id, return: known[execute]?.() ?? {} })}\n`)
        if (execute !== 'quit') continue
        server.close()
        socket.end()
      }
    })
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return { asked, close: () => void server.close() }
}
