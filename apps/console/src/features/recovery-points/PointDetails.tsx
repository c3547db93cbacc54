import { Badge, Button, Group, Stack, Text, Textarea } from '@mantine/core'
import { IconPin, IconPinnedOff } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import { roleOf } from '@understudy/contract/roles'
import { type ReactNode, useState } from 'react'
import { client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { formatWithZone } from '../../lib/format.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { CopyText } from '../../ui/CopyText.tsx'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { When } from '../../ui/When.tsx'
import { wordsOfConsistency, wordsOfCycle } from './point-words.ts'

type PointDetailsProps = {
  readonly protectionId: string
  readonly point: RecoveryPoint
  /** What can be done from this point: test failover, failover. */
  readonly actions: ReactNode
  readonly onChanged: (point: RecoveryPoint) => void
}

/** The selected point: what it is, what is known about it, and what can be done from it. */
export function PointDetails({ protectionId, point, actions, onChanged }: PointDetailsProps) {
  const refused = useWhyRefused()(roleOf.protections.annotatePoint)
  const [note, setNote] = useState(point.note ?? '')
  const annotate = useMutation({
    mutationFn: (change: { note?: string | null; pinned?: boolean }) =>
      client.protections.annotatePoint({ id: protectionId, pointId: point.id, ...change }),
    onSuccess: onChanged,
  })
  return (
    <Group align="flex-start" gap="xl" grow preventGrowOverflow={false}>
      <Stack gap="sm" miw={280}>
        <Group gap="xs">
          <Text fw={600} className="number">
            {formatWithZone(point.instant)}
          </Text>
          <Text size="sm" c="var(--ink-quiet)">
            <When at={point.instant} />
          </Text>
        </Group>
        <Group gap={6}>
          <Badge variant="outline" style={{ color: 'var(--ink)', borderColor: 'var(--line)' }}>
            {wordsOfConsistency[point.consistency]}
          </Badge>
          {point.verifiedAt && <Badge color="green">Verified: has booted</Badge>}
          {point.pinned && <Badge color="yellow">Pinned</Badge>}
          {point.held && <Badge color="yellow">In use</Badge>}
          {point.suspicious && <Badge color="red">Suspicious</Badge>}
        </Group>
        {point.suspicious && (
          <Text size="sm" c="var(--bad)">
            {point.suspicious}
          </Text>
        )}
        <Facts>
          <Fact name="Made by">{wordsOfCycle[point.cycle]}</Fact>
          <Fact name="Instant">{point.group && 'shared with other machines of its group'}</Fact>
          <Fact name="Changed">
            {formatBytes(point.changedBytes)}, stored as {formatBytes(point.storedBytes)}
          </Fact>
          <Fact name="Sealed">{formatWithZone(point.sealedAt)}</Fact>
          <Fact name="Verified">{point.verifiedAt && <When at={point.verifiedAt} />}</Fact>
          <Fact name="Remark">{point.consistencyNote}</Fact>
          <Fact name="Id">
            <CopyText text={point.id} what="id of the point" />
          </Fact>
        </Facts>
      </Stack>
      <Stack gap="sm" miw={260} maw={460}>
        <Group gap="xs">
          {actions}
          <ActionButton
            variant="default"
            reason={refused}
            loading={annotate.isPending}
            leftSection={point.pinned ? <IconPinnedOff size={15} /> : <IconPin size={15} />}
            onClick={() => annotate.mutate({ pinned: !point.pinned })}
          >
            {point.pinned ? 'Unpin' : 'Pin'}
          </ActionButton>
        </Group>
        <Textarea
          label="Note"
          description="Before the upgrade, known good, ..."
          value={note}
          onChange={(event) => setNote(event.currentTarget.value)}
          disabled={refused !== null}
          maxLength={500}
          autosize
          minRows={2}
        />
        {note !== (point.note ?? '') && (
          <Button
            w="fit-content"
            loading={annotate.isPending}
            onClick={() => annotate.mutate({ note: note.trim() === '' ? null : note })}
          >
            Save the note
          </Button>
        )}
        <ProblemAlert error={annotate.error} />
      </Stack>
    </Group>
  )
}
