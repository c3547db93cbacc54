// Microsoft's emulator of Azure Storage as a process of its own. It loses up to five seconds of what it acknowledged when it is
// killed, answers some questions wrongly (see `correcting-proxy.ts`), and reports on its users unless it is told not to.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export const EMULATOR_ACCOUNT = 'devstoreaccount1'
/** The same in every copy of the emulator; Microsoft publishes it. */
export const EMULATOR_KEY =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

export type Azurite = {
  readonly port: number
  /** Resolves when its process has ended, however that came. */
  readonly ended: Promise<void>
  /** Ends it and waits for its end. It keeps everything when it is asked (SIGTERM) and forgets when it is killed. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

const START_MS = 60_000
/**
 * It must not outlive whoever started it, however that ended: it ends in peace, with what it keeps written down. Nobody reads any
 * more what it says then.
 */
const endWithOwner = `data:text/javascript,${[
  'for(const stream of [process.stdout,process.stderr])stream.on("error",()=>{})',
  'const end=()=>{setTimeout(()=>process.exit(1),10000).unref();process.kill(process.pid,"SIGTERM")}',
  'process.stdin.on("end",end).resume().unref()',
].join(';')}`

/** Where its program lies; null: it is not installed here. */
function findAzurite(): string | null {
  try {
    const require = createRequire(import.meta.url)
    return join(dirname(require.resolve('azurite/package.json')), 'dist/src/blob/main.js')
  } catch {
    return null
  }
}

export const isAzuriteInstalled = (): boolean => findAzurite() !== null

/**
 * What it keeps lies in `folder`, which must be there and belong to nobody else's emulator. Listens on this computer only; port 0: on
 * any that is free.
 */
export async function startAzurite(folder: string, wantedPort = 0): Promise<Azurite> {
  const main = findAzurite()
  if (main === null) throw new Error('Azurite is not installed')
  const child = spawn(
    process.execPath,
    [
      '--import',
      endWithOwner,
      main,
      ...['--blobHost', '127.0.0.1', '--blobPort', String(wantedPort), '--location', folder],
      // Microsoft's client asks for a version of the interface that this emulator does not know by name.
      ...['--silent', '--disableTelemetry', '--skipApiVersionCheck'],
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], cwd: folder },
  )
  let said = ''
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString()
  })
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString()
  })
  const ended = once(child, 'close')
  let failure: unknown = null
  ended.catch((error: unknown) => {
    failure = error
  })
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += 20) {
    const port = /successfully listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1]
    if (port !== undefined)
      return {
        port: Number(port),
        ended: ended.then(() => undefined),
        async stop(signal = 'SIGTERM') {
          child.kill(signal)
          await ended
        },
      }
    if (failure !== null) throw new Error(`Azurite could not be started: ${String(failure)}`)
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`Azurite ended at its start: ${said}`)
    await sleep(20)
  }
  child.kill('SIGKILL')
  throw new Error(`Azurite did not start within ${START_MS / 1000} s: ${said}`)
}
