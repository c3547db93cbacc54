// Freezing file systems, kept by a small program of its own that thaws whatever becomes of us:
//
//     we  <->  keeper, started before  ->  fsfreeze           and beside it, while frozen:  sleep, then thaw everything
//
// It thaws when our end of the pipe is gone and when a time has passed. A root file system that stays frozen is a dead server.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { notHeldStill } from './failures.ts'

export const HOLD_SECONDS = 30

/**
 * A shell, because every Linux has one. Nothing here writes to a file system: what is started is read, and that still works.
 * Only what it has frozen itself is thawed, but at the deadline: a shell that hangs in a freeze does not know. EINVAL: it is not frozen
 * any more; anything else may be, and the guardian stays. A service that is killed takes its whole control group along; the
 * keeper leaves it where it can.
 */
const KEEPER = `
trap '' HUP INT TERM PIPE QUIT
seconds=$1; shift
{ echo -1000 > /proc/self/oom_score_adj; } 2>/dev/null
if [ -e /sys/fs/cgroup/cgroup.procs ]; then { echo $$ > /sys/fs/cgroup/cgroup.procs; } 2>/dev/null; fi
cd /
count=0
thaw() {
  ok=yes; done=yes; left=$count
  for point do
    [ $left -gt 0 ] || break
    left=$((left - 1))
    if why=$(LC_ALL=C fsfreeze -u "$point" 2>&1); then continue; fi
    ok=no
    case $why in *'Invalid argument'*) ;; *) done=no ;; esac
  done
  if [ $done = yes ]; then count=0; kill -9 $guardian; fi 2>/dev/null
  [ $ok = yes ]
}
guard() {
  sleep "$seconds"
  kill -9 $$
  for again in 1 2 3 4 5; do
    for point do fsfreeze -u "$point"; done
    sleep 1
  done
}
echo ready
while read -r order; do
  case $order in
  freeze)
    guard "$@" </dev/null >/dev/null 2>&1 & guardian=$!
    failed=
    for point do
      if why=$(fsfreeze -f "$point" 2>&1); then count=$((count + 1)); else failed=$why; break; fi
    done
    if [ -z "$failed" ]; then echo frozen; else thaw "$@"; echo "failed $failed"; fi ;;
  thaw)
    if thaw "$@"; then echo thawed; else echo lost; fi ;;
  esac
done
if [ $count -gt 0 ]; then thaw "$@"; fi
`

export type FreezeKeeper = {
  /** All of them or none. Throws `linux/not-held-still`. */
  freeze(): Promise<void>
  /** False: somebody else, or the deadline, has thawed in between, and it was no instant. */
  thaw(): Promise<boolean>
  /** Thaws what is frozen still. Repeatable. */
  close(): Promise<void>
}

/** Ready to freeze when it resolves: nothing has to be loaded afterwards. */
export async function openFreezeKeeper(
  mountPoints: readonly string[],
  seconds: number = HOLD_SECONDS,
): Promise<FreezeKeeper> {
  // A session of its own: what ends ours does not reach it.
  const child = spawn('sh', ['-c', KEEPER, 'understudy-keeper', String(seconds), ...mountPoints], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const answers = answersOf(child)
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const ask = async (order: string): Promise<string> => {
    child.stdin.write(`${order}\n`)
    return await answers()
  }
  if ((await answers()) !== 'ready') throw notHeldStill('the program that freezes did not start')
  return {
    async freeze() {
      const answer = await ask('freeze')
      if (answer !== 'frozen') throw notHeldStill(answer.replace(/^failed /, ''))
    },
    thaw: async () => (await ask('thaw')) === 'thawed',
    async close() {
      child.stdin.end()
      await ended
    },
  }
}

/** Each call is one line; after its end, an empty one. */
function answersOf(child: ChildProcessWithoutNullStreams): () => Promise<string> {
  const lines: string[] = []
  const waiting: ((line: string) => void)[] = []
  let over = false
  const finish = (): void => {
    over = true
    for (const resolve of waiting.splice(0)) resolve('')
  }
  createInterface({ input: child.stdout }).on('line', (line) => {
    const next = waiting.shift()
    if (next) next(line)
    else lines.push(line)
  })
  child.stderr.resume()
  // It may be gone when we write to it: its end says so.
  child.stdin.on('error', () => {})
  child.on('error', finish)
  child.on('close', finish)
  return () =>
    new Promise((resolve) => {
      const line = lines.shift()
      if (line !== undefined) resolve(line)
      else if (over) resolve('')
      else waiting.push(resolve)
    })
}
