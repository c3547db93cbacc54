import { Box, Group, Stack, Text } from '@mantine/core'
import { readable } from '../../lib/format.ts'
import { Findings } from '../../ui/Findings.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import type { Placed } from './start-draft.ts'

const shownPlaces = 60

type PlacedFindingsProps = { readonly placed: Placed; readonly isLooking: boolean }

/** What a dry run found, each beside the machine or step that it is about. Nothing of the run is done for it. */
export function PlacedFindings({ placed, isLooking }: PlacedFindingsProps) {
  const { plan, places, parameters, blockers } = placed
  const nothing = plan.length === 0 && places.length === 0 && parameters.size === 0
  return (
    <Stack gap={8}>
      <div role="status">
        {isLooking ? (
          <StatusMark tone="busy">Looking at every machine and step</StatusMark>
        ) : nothing ? (
          <StatusMark tone="good">Nothing stands in the way</StatusMark>
        ) : blockers > 0 ? (
          <StatusMark tone="bad">
            {blockers === 1 ? 'One thing stands' : `${blockers} things stand`} in the way
          </StatusMark>
        ) : (
          <StatusMark tone="at-risk">It can be run; read this first</StatusMark>
        )}
      </div>
      <Findings findings={plan} label="About the plan" />
      {places.length > 0 && (
        <Box
          component="ul"
          aria-label="About machines and steps"
          tabIndex={0}
          m={0}
          p={0}
          mah={240}
          style={{
            overflowY: 'auto',
            listStyle: 'none',
            border: '1px solid var(--line)',
            borderRadius: 'var(--mantine-radius-md)',
          }}
        >
          {places.slice(0, shownPlaces).map(({ id, name, findings }) => (
            <Box component="li" key={id} px="sm" py={8} style={{ borderBottom: '1px solid var(--line)' }}>
              <Text size="sm" fw={600} mb={4}>
                {name}
              </Text>
              {findings.map(({ level, code, message, remedy }) => (
                <Group key={`${code} ${message}`} gap="sm" align="flex-start" wrap="nowrap">
                  <StatusMark tone={level === 'blocker' ? 'bad' : 'at-risk'}>
                    {level === 'blocker' ? 'Blocked' : 'Warning'}
                  </StatusMark>
                  <Text size="sm">
                    {readable(message)}.{' '}
                    <Text span size="sm" c="var(--ink-quiet)">
                      {readable(remedy)}
                    </Text>
                  </Text>
                </Group>
              ))}
            </Box>
          ))}
          {places.length > shownPlaces && (
            <Text component="li" size="sm" c="var(--ink-quiet)" p="sm">
              and {places.length - shownPlaces} more
            </Text>
          )}
        </Box>
      )}
    </Stack>
  )
}
