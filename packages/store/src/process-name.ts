// One living server process per name. Two of one name would both believe that every lease and every unfinished job of that name
// is theirs.
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { Refusal } from '@understudy/base/errors'
import pg from 'pg'

export type ProcessName = { release(): Promise<void> }

/** A process that was killed has let its name go when PostgreSQL has noticed; a stop of a moment ago may still be under way. */
const waitMilliseconds = 20_000
const againMilliseconds = 500
/** The lock goes with its connection: how soon that is noticed, and how soon it is tried to be had again. */
const lookMilliseconds = 500
const answerMilliseconds = 10_000
/** For PostgreSQL to end what was left of our own former connection. */
const retakeMilliseconds = 20_000

/**
 * Takes the name for as long as this process lives, by a lock of a connection of its own. Refusal `process/name-taken` when another
 * process has it and keeps it. A connection that breaks (PostgreSQL was started anew) is made again, and the lock with it; should
 * another process have been quicker, `onLost` is called, once: this process must end, for the other one takes its work for its own.
 */
export async function takeProcessName(
  databaseUrl: string,
  name: string,
  how: { readonly onLost: (why: Refusal) => void; readonly patienceMilliseconds?: number },
): Promise<ProcessName> {
  const session = `understudy-name ${randomUUID()}`
  const released = new AbortController()
  const take = (patience: number) => takeLock(databaseUrl, { name, session, patience })
  let client = await take(how.patienceMilliseconds ?? waitMilliseconds)
  const guard = async (): Promise<void> => {
    while (await pause(lookMilliseconds, released.signal)) {
      if (await answers(client)) continue
      await endQuietly(client)
      try {
        client = await take(retakeMilliseconds)
      } catch (error) {
        // Else the database is away: then nobody can take the name, and the next look tries again.
        if (error instanceof Refusal && !released.signal.aborted) return how.onLost(error)
      }
    }
  }
  const guarding = guard()
  return {
    async release() {
      released.abort(new DOMException('The name is given up', 'AbortError'))
      await guarding
      await endQuietly(client)
    },
  }
}

async function takeLock(
  databaseUrl: string,
  wanted: { readonly name: string; readonly session: string; readonly patience: number },
): Promise<pg.Client> {
  const { name, session, patience } = wanted
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: session,
    keepAlive: true,
    connectionTimeoutMillis: answerMilliseconds,
    query_timeout: answerMilliseconds,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    // PostgreSQL may keep a connection for hours that was cut off from us: our own lock would stand in our way.
    await client.query(endFormerStatement, [session])
    for (const deadline = performance.now() + patience; ; ) {
      const { rows } = await client.query<{ taken: boolean }>(
        'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS taken',
        [`understudy/process/${name}`],
      )
      if (rows[0]?.taken) return client
      if (performance.now() > deadline) throw nameTaken(name)
      await wait(againMilliseconds)
    }
  } catch (error) {
    await endQuietly(client)
    throw error
  }
}

const endFormerStatement = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()`

const answers = (client: pg.Client): Promise<boolean> =>
  client.query('SELECT').then(
    () => true,
    () => false,
  )

/** A connection that is broken already cannot be ended in order, which changes nothing. */
const endQuietly = (client: pg.Client): Promise<void> => client.end().catch(() => {})

/** False when aborted. Does not keep the process alive. */
const pause = (milliseconds: number, signal: AbortSignal): Promise<boolean> =>
  wait(milliseconds, true, { signal, ref: false }).catch(() => false)

const nameTaken = (name: string): Refusal =>
  new Refusal({
    code: 'process/name-taken',
    message: `Another server process called "${name}" works on this database`,
    remedy: 'Stop it, or give this one a name of its own with UNDERSTUDY_PROCESS.',
  })
