import { Text } from '@mantine/core'
import type { ConsistencyGroup } from '@understudy/contract/consistency-group'
import { When } from '../../ui/When.tsx'
import { wordsOfPause } from './group-words.ts'

/** The newest instant that all machines of a group have, and what it cost the guests. */
export function CommonPoint({ cut }: { readonly cut: ConsistencyGroup['newestWholeCut'] }) {
  if (cut === null)
    return (
      <Text span size="sm" c="var(--ink-quiet)">
        none yet
      </Text>
    )
  return (
    <>
      <Text span size="sm">
        <When at={cut.instant} />
      </Text>
      <Text size="xs" c="var(--ink-quiet)" className="number">
        {cut.consistency === 'application' ? 'application-consistent' : 'crash-consistent'},{' '}
        {wordsOfPause(cut.pauseMilliseconds)}
      </Text>
    </>
  )
}
