import { Anchor, Group, Text } from '@mantine/core'
import { CopyText } from '../../ui/CopyText.tsx'

/** Where a running copy can be reached: pages open in a new tab, bare addresses can be copied. */
export function Addresses({ addresses }: { readonly addresses: readonly string[] }) {
  if (addresses.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)" span>
        none known yet
      </Text>
    )
  return (
    <Group gap="xs">
      {addresses.map((address) =>
        /^https?:\/\//.test(address) ? (
          <Anchor key={address} href={address} target="_blank" rel="noreferrer" size="sm">
            {address}
          </Anchor>
        ) : (
          <CopyText key={address} text={address} what="address" />
        ),
      )}
    </Group>
  )
}
