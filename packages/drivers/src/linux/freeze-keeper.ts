// Freezing file systems, kept by a small program of its own that thaws whatever becomes of us:
//
//     we  <->  keeper, started before  ->  fsfreeze           and beside it, while frozen:  sleep, then thaw everything
//
// It thaws when our end of the pipe is gone and when a time has passed. A root file system that stays frozen is a dead server. Once it has the word to
// switch the server off it does that in both cases, and thaws never again: the server is failed over by then.
import { type ChildProcess, spawn } from 'node:child_process'
import { constants, type FileHandle, open, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { heldTooLong, notHeldStill } from './failures.ts'

export const HOLD_SECONDS = 30

/**
 * A shell, because every Linux has one. Nothing here writes to a file system: what is started is read, and that still works.
 * Only what it has frozen itself is thawed, but at the deadline: a shell that hangs in a freeze does not know. EINVAL: it is not frozen
 * any more; anything else may be, and the guardian stays. A freeze that the kernel has begun cannot be called off, whoever is killed: it
 * waits for the last write, and then it holds. So the guardian goes on until no freeze of this session is under way. A service that is
 * killed takes its whole control group along; the keeper leaves it where it can, and stays in those that count memory and the like.
 */
const KEEPER = `
trap '' HUP INT TERM PIPE QUIT
seconds=$1; grace=$2; power=$3; shift 3
off=; acked=
trap 'acked=yes' USR1
{ echo -1000 > /proc/self/oom_score_adj; } 2>/dev/null
if [ -e /sys/fs/cgroup/cgroup.procs ]; then groups=/sys/fs/cgroup
else groups='/sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup/freezer'; fi
for group in $groups; do
  [ ! -e $group/cgroup.procs ] || { echo $$ > $group/cgroup.procs; } 2>/dev/null
done
cd /
count=0
# state, parent, group, session ... of a process; its name in front of them may be anything
of() {
  line=
  { read -r line < /proc/$1/stat; } 2>/dev/null
  set -- $2 \${line##*) }
  eval "echo \\\${$(($1 + 1))}"
}
born=$(of $$ 20)
thaw() {
  ok=yes; done=yes; left=$count
  for point do
    [ $left -gt 0 ] || break
    left=$((left - 1))
    if why=$(LC_ALL=C fsfreeze -u "$point" 2>&1); then continue; fi
    ok=no
    case $why in *'Invalid argument'*) ;; *) done=no ;; esac
  done
  if [ $done = yes ]; then
    count=0
    # Another process may have its number by now.
    if [ "$(of $guardian 2)" = $$ ]; then kill -USR1 $guardian; fi
  fi 2>/dev/null
  [ $ok = yes ]
}
freezing() {
  for place in /proc/[0-9]*; do
    line=
    { read -r line < $place/stat; } 2>/dev/null
    case $line in *'(fsfreeze) '*) ;; *) continue ;; esac
    [ "$(of \${place#/proc/} 4)" = $$ ] || continue
    case $(tr '\\0' ' ' < $place/cmdline) in *' -f '*) return 0 ;; esac
  done 2>/dev/null
  return 1
}
release() {
  rounds=0
  while :; do
    rounds=$((rounds + 1))
    # Looked at before: what ends in between is thawed now. One that was only just begun is seen in a later round.
    if freezing || [ $rounds -lt 3 ]; then again=yes; else again=; fi
    if ! why=$(LC_ALL=C fsfreeze -u "$1" 2>&1); then
      case $why in *'Invalid argument'*) ;; *) again=yes ;; esac
    fi
    [ -n "$again" ] || return 0
    if [ $rounds -lt 60 ]; then sleep 1; else sleep 10; fi
  done
}
# Each of them is frozen still. One that was not is now, and is let go with the rest.
held() {
  left=$count
  for point do
    [ $left -gt 0 ] || break
    left=$((left - 1))
    if why=$(LC_ALL=C fsfreeze -f "$point" 2>&1); then return 1; fi
    case $why in *busy*) ;; *) return 1 ;; esac
  done
}
# From its answer on the guardian switches off, and nothing calls it back.
hand_over() {
  acked=; tries=0
  [ "$(of $guardian 2)" = $$ ] || return 1
  kill -USR2 $guardian || return 1
  while [ -z "$acked" ]; do
    [ $tries -lt 50 ] || return 1
    tries=$((tries + 1))
    sleep 0.1
  done
} 2>/dev/null
# Nothing is flushed: sysrq asks the kernel alone. Where the power stays on, so does the hold: another one serves as this server.
cut() {
  while :; do
    if [ -n "$power" ]; then
      if sh -c "$power"; then exit; fi
    else
      { echo 'understudy: failed over, switching off' > /dev/kmsg; echo o > /proc/sysrq-trigger; } 2>/dev/null
      sleep 5
      systemctl poweroff --force --force >/dev/null 2>&1 &
    fi
    sleep 10
    { echo 'understudy: failed over, held still, and the power does not go: switch it off by hand' > /dev/kmsg; } 2>/dev/null
  done
}
guard() {
  # Nobody waits for the keeper's pipes because of it.
  exec </dev/null >/dev/null 2>&1
  trap 'kill -9 $!; exit' USR1
  # One process, one order: past the deadline the word to switch off is not heard any more, and so not answered.
  trap 'off=yes; trap "" USR1; kill -9 $!; if [ "$(of $$ 20)" = "$born" ]; then kill -USR1 $$; fi' USR2
  sleep "$seconds" & wait
  trap '' USR1 USR2
  if [ -n "$off" ]; then sleep "$grace"; cut; exit; fi
  if [ "$(of $$ 20)" = "$born" ]; then kill -9 $$; fi
  for point do release "$point" & done
  wait
}
echo ready
while read -r order; do
  case $order in
  freeze)
    guard "$@" & guardian=$!
    failed=; count=0
    for point do
      if why=$(fsfreeze -f "$point" 2>&1); then count=$((count + 1)); else failed=$why; break; fi
    done
    if [ -z "$failed" ]; then echo frozen; else thaw "$@"; echo "failed $failed"; fi ;;
  thaw)
    if thaw "$@"; then echo thawed; else echo lost; fi ;;
  off)
    if ! held "$@"; then thaw "$@"; echo lost
    elif hand_over; then off=yes; echo off
    else
      # One that was stopped would hear it later. Another one takes its place, and thaws what we cannot.
      if [ "$(of $guardian 2)" = $$ ]; then kill -9 $guardian; fi 2>/dev/null
      seconds=1; guard "$@" & guardian=$!
      thaw "$@"; echo lost
    fi ;;
  cut) [ -z "$off" ] || cut ;;
  esac
done
if [ -n "$off" ]; then cut; exit; fi
if [ $count -gt 0 ]; then thaw "$@"; fi
wait
`

export type FreezeKeeper = {
  /** All of them or none. Throws `linux/not-held-still`, and `linux/held-too-long` at the deadline. */
  freeze(): Promise<void>
  /** False: somebody else, or the deadline, has thawed in between, and it was no instant. */
  thaw(): Promise<boolean>
  /**
   * Where there is a `PowerSwitch`. `off`: all of it is frozen, nothing thaws it any more, and the power goes at `cut`, when we are gone, or after
   * the grace, whichever is first. `lost`: something was thawed before, and now all of it is. `unknown`: somebody has killed the keeper.
   */
  switchOff(): Promise<'off' | 'lost' | 'unknown'>
  /** After `off`: at once. */
  cut(): void
  /** Thaws what is frozen still. Repeatable. */
  close(): Promise<void>
}

export type PowerSwitch = {
  /** So long the power stays on after the word at most, for an answer to get through. */
  readonly graceSeconds: number
  /** For tests: a command in place of the kernel's own switch. The power is gone when it ends well. */
  readonly command: string | null
}

/** Where a file system is reached. */
export type PlaceToHold = {
  readonly mountPoint: string
  /** Its number in mountinfo, when something else may have been mounted over it. */
  readonly mountId?: string
}

/** Ready to freeze when it resolves: nothing has to be loaded afterwards. Throws `linux/not-held-still`. */
export async function openFreezeKeeper(
  places: readonly PlaceToHold[],
  seconds: number = HOLD_SECONDS,
  power: PowerSwitch = { graceSeconds: 0, command: null },
): Promise<FreezeKeeper> {
  const folders: FileHandle[] = []
  try {
    for (const place of places) folders.push(await openPlace(place))
    return await startKeeper(places, folders, seconds, power)
  } finally {
    for (const folder of folders) await folder.close()
  }
}

/** Whoever freezes by a name may freeze what was mounted over it meanwhile; an open folder stays what it is. */
async function openPlace({ mountPoint, mountId }: PlaceToHold): Promise<FileHandle> {
  const folder = await open(mountPoint, constants.O_RDONLY | constants.O_DIRECTORY).catch(
    (cause: unknown) => {
      throw notHeldStill(`${mountPoint} could not be opened`, cause)
    },
  )
  if (mountId === undefined || (await mountIdOf(folder)) === mountId) return folder
  await folder.close()
  throw notHeldStill(`something else is mounted over ${mountPoint}`)
}

/** See proc_pid_fdinfo(5). */
async function mountIdOf({ fd }: FileHandle): Promise<string | null> {
  return /^mnt_id:\s*(\d+)$/m.exec(await readFile(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? null
}

/** The child's numbers of what is given to it, behind its input and outputs. */
const FIRST_FOLDER = 3

async function startKeeper(
  places: readonly PlaceToHold[],
  folders: readonly FileHandle[],
  seconds: number,
  { graceSeconds, command }: PowerSwitch,
): Promise<FreezeKeeper> {
  const names = folders.map((_, index) => `/proc/self/fd/${FIRST_FOLDER + index}`)
  // A session of its own: what ends ours does not reach it.
  const given = [String(seconds), String(graceSeconds), command ?? '']
  const child = spawn('sh', ['-c', KEEPER, 'understudy-keeper', ...given, ...names], {
    stdio: ['pipe', 'pipe', 'ignore', ...folders.map(({ fd }) => fd)],
    detached: true,
  })
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw notHeldStill('the program that freezes has no pipes')
  const answers = answersOf(child, stdin, stdout)
  const ended = new Promise<void>((resolve) =>
    child.on('close', () => resolve()).on('error', () => resolve()),
  )
  const ask = async (order: string): Promise<string> => {
    stdin.write(`${order}\n`)
    return await answers()
  }
  if ((await answers()) !== 'ready') throw notHeldStill('the program that freezes did not start')
  return {
    async freeze() {
      const answer = await ask('freeze')
      if (answer === 'frozen') return
      if (answer === '')
        throw heldTooLong(
          `its file systems were not frozen within ${seconds} s; as soon as they are, they are let go on`,
        )
      throw notHeldStill(
        answer
          .replace(/^failed /, '')
          .replace(
            /\/proc\/self\/fd\/(\d+)/g,
            (name, fd) => places[Number(fd) - FIRST_FOLDER]?.mountPoint ?? name,
          ),
      )
    },
    thaw: async () => (await ask('thaw')) === 'thawed',
    async switchOff() {
      const answer = await ask('off')
      return answer === 'off' || answer === 'lost' ? answer : 'unknown'
    },
    cut: () => void stdin.write('cut\n'),
    async close() {
      stdin.end()
      await ended
    },
  }
}

/** Each call is one line; after its end, an empty one. */
function answersOf(child: ChildProcess, stdin: Writable, stdout: Readable): () => Promise<string> {
  const lines: string[] = []
  const waiting: ((line: string) => void)[] = []
  let over = false
  const finish = (): void => {
    over = true
    for (const resolve of waiting.splice(0)) resolve('')
  }
  createInterface({ input: stdout }).on('line', (line) => {
    const next = waiting.shift()
    if (next) next(line)
    else lines.push(line)
  })
  // It may be gone when we write to it: its end says so.
  stdin.on('error', () => {})
  child.on('error', finish)
  stdout.on('close', finish)
  return () =>
    new Promise((resolve) => {
      const line = lines.shift()
      if (line !== undefined) resolve(line)
      else if (over) resolve('')
      else waiting.push(resolve)
    })
}
