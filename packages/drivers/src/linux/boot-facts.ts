// What this server says of itself that decides whether it would boot on other hardware: a program that only reads, which yields to all other work.
import { Outage, Refusal } from '@understudy/base/errors'
import type { BootFacts } from '@understudy/domain/boot-check/boot-facts'
import { LINUX_SCRIPT } from '@understudy/domain/boot-check/linux-script'
import { readLinuxReport } from '@understudy/domain/boot-check/read-linux-report'
import { runCommand } from './run-command.ts'

/** The script looks at two memory disks at most, a minute each; those who wait for us do so for 240 s. */
const LONGEST_SECONDS = 200

/** See SourcePlatform.bootFacts. */
export async function readBootFacts(signal?: AbortSignal): Promise<BootFacts> {
  const { code, output } = await runCommand('/bin/sh', ['-c', LINUX_SCRIPT], {
    seconds: LONGEST_SECONDS,
    signal,
  })
  if (code === null)
    throw new Outage({
      code: 'boot-check/too-long',
      message: `The server did not tell of itself within ${LONGEST_SECONDS} s`,
      remedy: 'Check again when it has less to do.',
    })
  const facts = readLinuxReport(output)
  if (facts !== null) return facts
  throw new Refusal({
    code: 'boot-check/not-understood',
    // Never what it printed: this is read by everybody, and only a whole report is known to hold no secret.
    message: `What the server told of itself is not whole: it printed ${Buffer.byteLength(output)} bytes`,
    remedy: 'Look that its agent may run a shell, and read /etc and /boot.',
  })
}
