// Restarts this computer, which ends the rescue system and with it this process.
import { Outage } from '@understudy/base/errors'
import { runCommand } from '../run-command.ts'
import { type Run, runWell, tryRun } from './run-well.ts'

const SYNC_SECONDS = 300

/** Resolves when the restart was ordered. Fails as `homecoming/not-restarted`. */
export async function restartServer(run: Run = runCommand, signal?: AbortSignal): Promise<void> {
  const tools = { run, signal }
  await runWell(tools, ['sync'], SYNC_SECONDS)
  if ((await tryRun(tools, ['systemctl', '--no-block', 'reboot'])) !== null) return
  if ((await tryRun(tools, ['reboot', '-f'])) !== null) return
  throw new Outage({
    code: 'homecoming/not-restarted',
    message: 'This computer could not be restarted from here',
    remedy:
      'Its disks are written and finished. Restart it by hand, without the medium of the rescue system.',
  })
}
