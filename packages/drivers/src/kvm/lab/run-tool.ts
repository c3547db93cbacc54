// Runs a program of the distribution for the lab and gives back what it printed.
import { spawn } from 'node:child_process'
import { Refusal } from '@understudy/base/errors'

const keptOutputCharacters = 64 * 1024

/**
 * Resolves with standard output. A program that is missing or fails is a Refusal: nothing here gets better by itself.
 * `environment` is added to ours.
 */
export function runTool(
  program: string,
  parameters: readonly string[],
  options: { folder?: string; environment?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, {
      cwd: options.folder,
      env: { ...process.env, LC_ALL: 'C', ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.signal ? { signal: options.signal } : {}),
    })
    let output = ''
    let complaint = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-keptOutputCharacters)
    })
    child.once('error', (cause: NodeJS.ErrnoException) =>
      reject(cause.code === 'ENOENT' ? missingTool(program) : cause),
    )
    child.once('close', (code) =>
      code === 0 ? resolve(output) : reject(failed(program, parameters, code, complaint)),
    )
  })
}

export function missingTool(program: string): Refusal {
  return new Refusal({
    code: 'lab/tool-missing',
    message: `The lab needs the program ${program}, which is not installed on this computer`,
    remedy:
      'Install QEMU and e2fsprogs (apt-get install qemu-system-x86 qemu-utils e2fsprogs) on Debian or Ubuntu.',
  })
}

function failed(
  program: string,
  parameters: readonly string[],
  code: number | null,
  complaint: string,
): Refusal {
  const lastLines = complaint.trim().split('\n').slice(-3).join(' ')
  return new Refusal({
    code: 'lab/tool-failed',
    message: `${program} ${parameters[0] ?? ''} failed with ${code}: ${lastLines || 'no message'}`,
    remedy:
      'See what the program complains about, correct it, and create the lab again: it goes on where it stopped.',
  })
}
