// Programs that are not ours, as servers and as judges: qemu-nbd, nbdinfo, openssl and the like.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export type ProgramResult = { readonly code: number; readonly stdout: string; readonly stderr: string }

/**
 * Runs a program to its end and never throws on a bad exit code. Never the synchronous kind of spawn: the program may talk to
 * a server in this very process, which must stay awake to answer.
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  timeoutMs = 60_000,
): Promise<ProgramResult> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text: Buffer) => {
    stdout += text.toString()
  })
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? -1, stdout, stderr }
}

/** Like `runProgram`, but a bad exit code is an error that shows what the program said. */
export async function mustRun(command: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(command, args)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} exited with ${code}: ${stderr}${stdout}`)
  return stdout
}

export type RunningProgram = {
  readonly pid: number
  /** Ends it and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Starts a server and resolves when it accepts connections on the unix socket or, given a number, on that local port. */
export async function startProgram(
  command: string,
  args: readonly string[],
  socket: string | number,
): Promise<RunningProgram> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString()
  })
  const ended = once(child, 'close')
  for (let tries = 0; tries < 500; tries += 1) {
    if (child.exitCode !== null) throw new Error(`${command} ${args.join(' ')} exited: ${stderr}`)
    if (await accepts(socket)) {
      return {
        pid: child.pid ?? -1,
        stop: async (signal = 'SIGTERM') => {
          child.kill(signal)
          await ended
        },
      }
    }
    await sleep(20)
  }
  child.kill('SIGKILL')
  throw new Error(`${command} did not listen on ${socket} within 10 s: ${stderr}`)
}

async function accepts(socket: string | number): Promise<boolean> {
  const probe = net.connect(
    typeof socket === 'number' ? { host: '127.0.0.1', port: socket } : { path: socket },
  )
  try {
    await once(probe, 'connect')
    return true
  } catch {
    return false
  } finally {
    probe.destroy()
  }
}

export type TestCertificates = {
  /** Files `ca.pem`, and a key and certificate each for server (localhost, 127.0.0.1) and client, named as QEMU wants them. */
  readonly directory: string
}

/** An authority with one server and one client certificate, made by openssl in `directory`, for QEMU's `tls-creds-x509`. */
export async function makeCertificates(directory: string): Promise<TestCertificates> {
  const file = (name: string): string => path.join(directory, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const authority = ['-keyout', file('ca-key.pem'), '-out', file('ca-cert.pem')]
  await mustRun('openssl', ['req', '-x509', ...key, ...authority, '-subj', '/CN=test authority'])
  for (const who of ['server', 'client']) {
    const signed = ['-CA', file('ca-cert.pem'), '-CAkey', file('ca-key.pem')]
    const names = [
      '-addext',
      'subjectAltName=DNS:localhost,IP:127.0.0.1',
      '-addext',
      'basicConstraints=critical,CA:FALSE',
    ]
    const own = ['-keyout', file(`${who}-key.pem`), '-out', file(`${who}-cert.pem`), '-subj', `/CN=${who}`]
    await mustRun('openssl', ['req', '-x509', ...key, ...own, ...signed, ...names])
  }
  return { directory }
}
