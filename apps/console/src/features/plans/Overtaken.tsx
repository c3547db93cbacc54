import { Alert, Button, Group, Text } from '@mantine/core'
import { IconUsers } from '@tabler/icons-react'
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { When } from '../../ui/When.tsx'

type OvertakenProps = { readonly detail: PlanDetail; readonly onMerge: () => void }

/** Told before saving: the sooner two people know of each other, the less there is to merge. */
export function Overtaken({ detail, onMerge }: OvertakenProps) {
  return (
    <Alert color="yellow" variant="light" icon={<IconUsers size={18} />} role="alert">
      <Group justify="space-between">
        <Text size="sm">
          {detail.savedBy} has saved version {detail.version} of this plan, <When at={detail.savedAt} />.
          Yours is not lost.
        </Text>
        <Button onClick={onMerge}>See what differs</Button>
      </Group>
    </Alert>
  )
}
