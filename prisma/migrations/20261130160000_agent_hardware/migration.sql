-- By which hardware the server of an agent is known again, and from which it was refused.
-- AlterTable
ALTER TABLE "Agent" ADD COLUMN     "hardware" JSONB,
ADD COLUMN     "otherHardware" JSONB;
