import { Button, type ButtonProps, Tooltip } from '@mantine/core'
import { type ReactNode, useId } from 'react'

type ActionButtonProps = Omit<ButtonProps, 'disabled' | 'children'> & {
  /** Why it cannot be pressed now; null when it can. */
  readonly reason: string | null
  readonly onClick: () => void
  readonly children: ReactNode
  readonly type?: 'button' | 'submit'
}

/** A button that stays in its place when blocked, takes the keyboard's focus, and says why. */
export function ActionButton({ reason, onClick, children, type = 'button', ...rest }: ActionButtonProps) {
  const id = useId()
  if (reason === null)
    return (
      <Button {...rest} type={type} onClick={onClick}>
        {children}
      </Button>
    )
  return (
    <>
      <Tooltip label={reason}>
        <Button
          {...rest}
          type="button"
          data-disabled
          aria-disabled
          aria-describedby={id}
          onClick={(event) => event.preventDefault()}
        >
          {children}
        </Button>
      </Tooltip>
      {/* Beside the button: inside, it would become part of the button's name. */}
      <span id={id} hidden>
        {reason}
      </span>
    </>
  )
}
