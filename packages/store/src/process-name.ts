// One living server process per name. Two of one name would both believe that every lease and every unfinished job of that name
// is theirs.
import { Refusal } from '@understudy/base/errors'
import pg from 'pg'

export type ProcessName = { release(): Promise<void> }

/** A process that was killed has let its name go when PostgreSQL has noticed; a stop of a moment ago may still be under way. */
const waitMilliseconds = 20_000
const againMilliseconds = 500

/**
 * Takes the name for as long as this process lives, by a lock of its own connection. Refusal `process/name-taken` when another
 * process has it and keeps it. Should the connection break later, the name is not given up here, only not guarded any more.
 */
export async function takeProcessName(
  databaseUrl: string,
  name: string,
  patience: number = waitMilliseconds,
): Promise<ProcessName> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'understudy-name',
    keepAlive: true,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    for (const deadline = performance.now() + patience; ; ) {
      const { rows } = await client.query<{ taken: boolean }>(
        'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS taken',
        [`understudy/process/${name}`],
      )
      if (rows[0]?.taken) return { release: () => client.end() }
      if (performance.now() > deadline) throw nameTaken(name)
      await new Promise((resolve) => setTimeout(resolve, againMilliseconds))
    }
  } catch (error) {
    await client.end()
    throw error
  }
}

const nameTaken = (name: string): Refusal =>
  new Refusal({
    code: 'process/name-taken',
    message: `Another server process called "${name}" works on this database`,
    remedy: 'Stop it, or give this one a name of its own with UNDERSTUDY_PROCESS.',
  })
