// For tests only, inside a whole server: writes records that each hold the digest of the one before, each durable before the next, and says
// on a port what it found on its disk when it started. `POST /sh` runs what it is given: the test's hands in there.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { networkInterfaces } from 'node:os'

const file = '/srv/records'
const digest = (text) => createHash('sha256').update(text).digest('hex')
const FIRST = '0'.repeat(64)

/** What is there, judged line by line. */
function read() {
  const text = readFileSync(file, { encoding: 'utf8', flag: 'a+' })
  const lines = text === '' ? [] : text.split('\n')
  let [newest, hash] = [0, FIRST]
  if (lines.length > 0 && lines.pop() !== '') return { ok: false, newest, hash }
  for (const line of lines) {
    const [number, sum] = line.split(' ')
    if (Number(number) !== newest + 1 || sum !== digest(`${number} ${hash}`))
      return { ok: false, newest, hash }
    newest += 1
    hash = sum
  }
  return { ok: true, newest, hash }
}

const found = read()
let { newest, hash } = found
const out = openSync(file, 'a')
const writing = setInterval(() => {
  const next = newest + 1
  const sum = digest(`${next} ${hash}`)
  writeSync(out, `${next} ${sum}\n`)
  fsyncSync(out)
  newest = next
  hash = sum
}, 100)
if (!found.ok) clearInterval(writing)

const read1 = (path) => readFileSync(path, 'utf8').trim()
createServer((request, response) => {
  if (request.method === 'POST') {
    let script = ''
    request.on('data', (piece) => (script += piece))
    request.on('end', () =>
      execFile('/bin/sh', ['-c', script], { timeout: 120_000 }, (error, stdout, stderr) =>
        response.end(JSON.stringify({ code: error ? (error.code ?? -1) : 0, output: stdout + stderr })),
      ),
    )
    return
  }
  const adapters = Object.entries(networkInterfaces()).flatMap(([name, all]) =>
    all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ cidr }) => `${name} ${cidr}`),
  )
  response.end(
    JSON.stringify({
      found: { ok: found.ok, newest: found.newest },
      newest,
      boot: read1('/proc/sys/kernel/random/boot_id'),
      adapters,
    }),
  )
}).listen(8080)

process.on('SIGTERM', () => {
  clearInterval(writing)
  closeSync(out)
  // The port is listened on still, which would keep it alive.
  process.exit(0)
})
