-- AlterTable
ALTER TABLE "Protection" ADD COLUMN     "cycleAskedAt" TIMESTAMPTZ(3);
