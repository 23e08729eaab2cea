#include "tests/load/record_form.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"
#include "core/cose/encrypt0.h"

namespace keystead::load {
namespace {

TEST(RecordFormTest, IsAnEncrypt0OfTheSizeAskedFor) {
  for (size_t bytes = RecordForm::kMinBytes; bytes < 700; ++bytes) {
    absl::StatusOr<RecordForm> form = RecordForm::Create(bytes);
    ASSERT_TRUE(form.ok()) << form.status();
    EXPECT_LE(form->bytes(), bytes);
    EXPECT_GE(form->bytes() + 2, bytes);
    EXPECT_TRUE(cose::ParseEncrypt0(form->Stamped(1)).ok()) << bytes;
  }
  EXPECT_EQ(RecordForm::Create(limits::kMaxRecordBytes)->bytes(), limits::kMaxRecordBytes);
}

TEST(RecordFormTest, CarriesItsStampAndTheSameStampGivesTheSameBytes) {
  RecordForm form = *RecordForm::Create(256);
  const Bytes one = ToBytes(form.Stamped(123'456'789));
  EXPECT_EQ(StampOf(one), 123'456'789);
  const Bytes other = ToBytes(form.Stamped(-1));
  EXPECT_EQ(StampOf(other), -1);
  EXPECT_NE(one, other);
  EXPECT_EQ(one, ToBytes(form.Stamped(123'456'789)));
}

TEST(RecordFormTest, RefusesWhatIsNoSizeOfARecord) {
  for (const size_t bytes : {size_t{0}, RecordForm::kMinBytes - 1, limits::kMaxRecordBytes + 1})
    EXPECT_EQ(RecordForm::Create(bytes).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RecordFormTest, WhatIsNoRecordHasNoStamp) {
  RecordForm form = *RecordForm::Create(RecordForm::kMinBytes);
  const Bytes whole = ToBytes(form.Stamped(7));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(StampOf(ByteView(whole).first(size)).has_value()) << size;
  EXPECT_FALSE(StampOf(AsBytes("sealed")).has_value());
}

}  // namespace
}  // namespace keystead::load
