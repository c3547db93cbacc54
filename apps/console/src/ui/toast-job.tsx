import { notifications } from '@mantine/notifications'
import { problemOf } from '../api/client.ts'
import { LinkAnchor } from './LinkAnchor.tsx'

/** Something long has begun: say so, and lead to its job. */
export function toastJob(title: string, jobId: string): void {
  notifications.show({
    id: jobId,
    title,
    message: (
      <LinkAnchor to="/jobs/$jobId" params={{ jobId }}>
        Follow the job
      </LinkAnchor>
    ),
    color: 'teal',
    closeButtonProps: { 'aria-label': 'Close' },
  })
}

export function toastDone(title: string): void {
  notifications.show({ title, message: null, color: 'teal', closeButtonProps: { 'aria-label': 'Close' } })
}

/** For an action without a dialog of its own that could hold the problem. */
export function toastProblem(title: string, error: unknown): void {
  const problem = problemOf(error)
  notifications.show({
    title,
    message: `${problem.detail}. ${problem.remedy}`,
    color: 'red',
    autoClose: 15_000,
    closeButtonProps: { 'aria-label': 'Close' },
  })
}
