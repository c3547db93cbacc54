import { Button, Center, Text } from '@mantine/core'

type MoreRowsProps = {
  readonly shown: number
  readonly total: number | null
  readonly hasMore: boolean
  readonly loading: boolean
  readonly onMore: () => void
}

/** The foot of a list that comes page by page. */
export function MoreRows({ shown, total, hasMore, loading, onMore }: MoreRowsProps) {
  if (!hasMore)
    return shown > 20 ? (
      <Text size="xs" c="var(--ink-quiet)" ta="center" py={8}>
        All {shown} shown
      </Text>
    ) : null
  return (
    <Center py={8}>
      <Button variant="subtle" onClick={onMore} loading={loading}>
        {total === null ? 'Show more' : `Show more (${shown} of ${total})`}
      </Button>
    </Center>
  )
}
