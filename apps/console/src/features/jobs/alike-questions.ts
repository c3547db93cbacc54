// Which waiting jobs ask the same and can be answered at once. Pure.
import type { Job } from '@understudy/contract/job'

export type AskingJob = Job & { readonly question: NonNullable<Job['question']> }

/** Jobs with a question, those that ask alike together: same kind of job, same choice of answers. By name. */
export function alikeQuestions(jobs: readonly Job[]): readonly (readonly [AskingJob, ...AskingJob[]])[] {
  const alike = new Map<string, [AskingJob, ...AskingJob[]]>()
  for (const job of jobs.toSorted((a, b) => collator.compare(a.subjectName, b.subjectName))) {
    if (!isAsking(job)) continue
    const key = JSON.stringify([job.kind, job.question.answers])
    const known = alike.get(key)
    if (known) known.push(job)
    else alike.set(key, [job])
  }
  return [...alike.values()]
}

const collator = new Intl.Collator('en', { numeric: true })

const isAsking = (job: Job): job is AskingJob => job.question !== null

const shownNames = 6

/** Whose questions they are: the first few by name. */
export function namesOf(jobs: readonly Job[]): string {
  const names = jobs.map(({ subjectName }) => subjectName)
  const more = names.length - shownNames
  return more > 0 ? `${names.slice(0, shownNames).join(', ')} and ${more} more` : names.join(', ')
}

/** What is asked, each wording once: the causes may differ from machine to machine. */
export const wordingsOf = (jobs: readonly AskingJob[]): readonly string[] => [
  ...new Set(jobs.map(({ question }) => question.text)),
]
