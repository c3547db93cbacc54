import { Group, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api } from '../../api/client.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { When } from '../../ui/When.tsx'
import { toneOfGroup, wordsOfGroup, wordsOfPause } from './group-words.ts'

type GroupNoteProps = { readonly groupId: string; readonly protectionId: string }

/** On the page of a machine: with whom it shares its instants, and how well. */
export function GroupNote({ groupId, protectionId }: GroupNoteProps) {
  const { data: group } = useQuery(api.groups.get.queryOptions({ input: { id: groupId } }))
  if (!group) return null
  const mates = group.members.filter((member) => member.protectionId !== protectionId)
  const own = group.members.find((member) => member.protectionId === protectionId)
  const cut = group.newestWholeCut
  return (
    <Group gap={10} mt="sm" wrap="wrap" role="group" aria-label={`Group ${group.name}`}>
      <StatusMark tone={toneOfGroup[group.health]}>{wordsOfGroup(group)}</StatusMark>
      <Text size="sm" c="var(--ink-quiet)">
        {mates.length > 0 && <>with {mates.map(({ name }) => name).join(', ')}: </>}
        {cut && (
          <>
            newest <When at={cut.instant} />, {wordsOfPause(cut.pauseMilliseconds)}.{' '}
          </>
        )}
        {own?.note && mates.length > 0 ? `${own.note} ` : ''}
        <LinkAnchor to="/groups" search={{ edit: group.id }} underline="always">
          {group.name}
        </LinkAnchor>
      </Text>
    </Group>
  )
}
